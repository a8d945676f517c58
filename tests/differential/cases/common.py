"""Sources that many cases use."""

C = """#include "x.h"
static int twice(int n) { return 2 * n; }
int answer(int n) { return twice(n) + OFFSET; }
"""
C_HEADER = "#pragma once\n#define OFFSET 40\nint answer(int n);\n"
CXX = """#include "x.h"
namespace { template <class T> T twice(T n) { return n + n; } }
struct Thing { virtual ~Thing() {} virtual int get() const { return twice(OFFSET); } };
Thing *make() { return new Thing; }
int answer(int n) { return twice(n); }
"""
WARNS = """int unused_result(int n) { int never_read = n; int n2; return n2; }
static int unused_function(void) { return 1; }
"""
FAILS_SYNTAX = "int broken(int n) { return n + ; }\n"

PLAIN_C = {"x.c": C, "x.h": C_HEADER}
PLAIN_CXX = {"x.cc": CXX, "x.h": C_HEADER}
PLAIN = {**PLAIN_C, **PLAIN_CXX}
