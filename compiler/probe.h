/* Probes of configure scripts, CMake and Meson: thousands of tiny compilations whose time is latency. Recognised by the names their tools give them,
 * in the arguments and the working directory. The client has a copy of this rule, so as not to start a daemon for them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

bool probe_command(const char *const *argv, size_t argc, const char *cwd);
