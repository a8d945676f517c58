#include "tests/cloud/tls.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/file.h"

/* Buckets in the host's name are below s3.localhost: clients don't take a wildcard right below a top-level name. */
static const char names[] = "DNS:localhost,DNS:s3.localhost,DNS:*.s3.localhost,IP:127.0.0.1,IP:::1";

static int add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	int ok = extension && X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	return ok ? 0 : -1;
}

/* A certificate for `key`, by `issuer` and its key, or by itself. NULL: OpenSSL failed. */
static X509 *certify(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
	X509 *certificate = X509_new();
	uint64_t serial;
	if (!certificate || RAND_bytes((unsigned char *)&serial, sizeof serial) != 1)
		goto failed;
	X509_NAME *subject = X509_get_subject_name(certificate);
	if (!X509_set_version(certificate, X509_VERSION_3) ||
		!ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) ||
		!X509_gmtime_adj(X509_getm_notBefore(certificate), -86400) ||
		!X509_gmtime_adj(X509_getm_notAfter(certificate), 30 * 86400) || !X509_set_pubkey(certificate, key) ||
		!X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) ||
		!X509_set_issuer_name(certificate, issuer ? X509_get_subject_name(issuer) : subject))
		goto failed;
	if (issuer ? add_extension(certificate, issuer, NID_subject_alt_name, names) < 0 ||
				add_extension(certificate, issuer, NID_ext_key_usage, "serverAuth") < 0 ||
				add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") < 0
		   : add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE") < 0 ||
				add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") <
					0)
		goto failed;
	if (add_extension(certificate, issuer ? issuer : certificate, NID_subject_key_identifier, "hash") < 0 ||
		add_extension(certificate, issuer ? issuer : certificate, NID_authority_key_identifier, "keyid") < 0 ||
		!X509_sign(certificate, issuer_key, EVP_sha256()))
		goto failed;
	return certificate;
failed:
	X509_free(certificate);
	return NULL;
}

static int write_certificate(X509 *certificate, const char *path, struct error *err)
{
	BIO *memory = BIO_new(BIO_s_mem());
	char *bytes;
	int r = -1;
	if (memory && PEM_write_bio_X509(memory, certificate)) {
		long n = BIO_get_mem_data(memory, &bytes);
		r = file_replace(path, slice_of(bytes, (size_t)n), 0644, err);
	} else {
		error_set(err, 0, "cannot write down a certificate");
	}
	BIO_free(memory);
	return r;
}

static int choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *n, const unsigned char *offered,
	unsigned n_offered, void *ctx)
{
	static const unsigned char ours[] = "\x02h2\x08http/1.1";
	return SSL_select_next_proto((unsigned char **)(uintptr_t)ret, n, ours, sizeof ours - 1, offered, n_offered) ==
			       OPENSSL_NPN_NEGOTIATED
		       ? SSL_TLSEXT_ERR_OK
		       : SSL_TLSEXT_ERR_NOACK;
}

SSL_CTX *tls_new(const char *ca_path, struct error *err)
{
	EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
	X509 *ca = NULL, *certificate = NULL;
	SSL_CTX *tls = NULL;
	if (ca_key && key && (ca = certify("Llama test cloud CA", ca_key, NULL, ca_key)) &&
		(certificate = certify("localhost", key, ca, ca_key)))
		tls = SSL_CTX_new(TLS_server_method());
	if (!tls || SSL_CTX_use_certificate(tls, certificate) != 1 || SSL_CTX_use_PrivateKey(tls, key) != 1 ||
		SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1) {
		error_set(err, 0, "OpenSSL cannot make certificates for the test cloud");
		SSL_CTX_free(tls);
		tls = NULL;
	} else if (write_certificate(ca, ca_path, err) < 0) {
		SSL_CTX_free(tls);
		tls = NULL;
	} else {
		SSL_CTX_set_mode(tls,
			SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
		SSL_CTX_set_alpn_select_cb(tls, choose_protocol, NULL);
	}
	X509_free(certificate);
	X509_free(ca);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
	return tls;
}
