/* The cloud's own certificate authority: made anew at every start, good for a month, for loopback names only. */
#pragma once

#include <openssl/ssl.h>

#include "base/error.h"

/* A server context with a certificate for localhost, s3.localhost, *.s3.localhost, 127.0.0.1 and ::1, that offers h2
 * and http/1.1 by ALPN. The CA's certificate goes to the file `ca_path`. */
SSL_CTX *tls_new(const char *ca_path, struct error *err);
