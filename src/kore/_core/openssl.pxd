"""Declarations of OpenSSL, as much of it as is used. Needs the headers of OpenSSL 3.0 or newer."""

from libc.stdint cimport uint32_t, uint64_t

cdef extern from *:
    """
    #include <openssl/opensslv.h>
    #if OPENSSL_VERSION_NUMBER < 0x30000000L
    #error "OpenSSL 3.0 or newer is needed"
    #endif
    """


cdef extern from "openssl/crypto.h" nogil:
    ctypedef struct CRYPTO_EX_DATA:
        pass
    ctypedef void (*CRYPTO_EX_free)(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx,
                                    long argl, void *argp) noexcept nogil
    void OPENSSL_cleanse(void *ptr, size_t size)
    void OPENSSL_free(void *ptr)
    const char *OpenSSL_version(int type)
    int OPENSSL_VERSION
    unsigned long OpenSSL_version_num()


cdef extern from "openssl/err.h" nogil:
    void ERR_clear_error()
    unsigned long ERR_get_error()
    unsigned long ERR_peek_error()
    unsigned long ERR_peek_last_error()
    const char *ERR_reason_error_string(unsigned long code)
    void ERR_error_string_n(unsigned long code, char *buf, size_t size)
    int ERR_GET_LIB(unsigned long code)
    int ERR_GET_REASON(unsigned long code)
    int ERR_LIB_SYS
    int ERR_LIB_SSL
    int ERR_LIB_PEM
    int PEM_R_NO_START_LINE


cdef extern from "openssl/bio.h" nogil:
    ctypedef struct BIO:
        pass
    ctypedef struct BIO_METHOD:
        pass
    BIO *BIO_new(const BIO_METHOD *method)
    const BIO_METHOD *BIO_s_mem()
    int BIO_read_ex(BIO *bio, void *data, size_t size, size_t *done)
    int BIO_write_ex(BIO *bio, const void *data, size_t size, size_t *done)
    size_t BIO_ctrl_pending(BIO *bio)
    BIO *BIO_new_mem_buf(const void *data, int size)
    int BIO_free(BIO *bio)
    int BIO_up_ref(BIO *bio)
    int BIO_get_new_index()
    BIO_METHOD *BIO_meth_new(int type, const char *name)
    void BIO_meth_free(BIO_METHOD *method)
    int BIO_meth_set_write_ex(
        BIO_METHOD *method, int (*write)(BIO *, const char *, size_t, size_t *) noexcept nogil)
    int BIO_meth_set_read_ex(
        BIO_METHOD *method, int (*read)(BIO *, char *, size_t, size_t *) noexcept nogil)
    int BIO_meth_set_write(
        BIO_METHOD *method, int (*write)(BIO *, const char *, int) noexcept nogil)
    int BIO_meth_set_read(
        BIO_METHOD *method, int (*read)(BIO *, char *, int) noexcept nogil)
    int BIO_meth_set_ctrl(
        BIO_METHOD *method, long (*ctrl)(BIO *, int, long, void *) noexcept nogil)
    int BIO_meth_set_create(BIO_METHOD *method, int (*create)(BIO *) noexcept nogil)
    void BIO_set_data(BIO *bio, void *data)
    void *BIO_get_data(BIO *bio)
    void BIO_set_init(BIO *bio, int init)
    void BIO_set_retry_read(BIO *bio)
    void BIO_set_retry_write(BIO *bio)
    void BIO_clear_retry_flags(BIO *bio)
    int BIO_CTRL_FLUSH
    int BIO_TYPE_SOURCE_SINK


cdef extern from "openssl/core.h" nogil:
    ctypedef struct OSSL_LIB_CTX:
        pass
    ctypedef struct OSSL_PARAM:
        const char *key
        unsigned int data_type
        void *data
        size_t data_size


cdef extern from "openssl/params.h" nogil:
    OSSL_PARAM OSSL_PARAM_construct_utf8_string(const char *key, char *text, size_t size)
    OSSL_PARAM OSSL_PARAM_construct_octet_string(const char *key, void *data, size_t size)
    OSSL_PARAM OSSL_PARAM_construct_end()


cdef extern from "openssl/core_names.h" nogil:
    const char *OSSL_MAC_PARAM_KEY
    const char *OSSL_MAC_PARAM_DIGEST


cdef extern from "openssl/rand.h" nogil:
    int RAND_bytes(unsigned char *out, int size)


cdef extern from "openssl/evp.h" nogil:
    ctypedef struct EVP_PKEY:
        pass
    ctypedef struct ENGINE:
        pass
    ctypedef struct EVP_CIPHER:
        pass
    ctypedef struct EVP_CIPHER_CTX:
        pass
    ctypedef struct EVP_MAC_CTX:
        pass
    int EVP_Q_digest(OSSL_LIB_CTX *library, const char *name, const char *properties,
                     const void *data, size_t size, unsigned char *digest, size_t *digest_size)
    const EVP_CIPHER *EVP_aes_256_cbc()
    int EVP_CipherInit_ex(EVP_CIPHER_CTX *context, const EVP_CIPHER *cipher, ENGINE *engine,
                          const unsigned char *key, const unsigned char *iv, int encrypts)
    int EVP_MAC_CTX_set_params(EVP_MAC_CTX *context, const OSSL_PARAM *parameters)
    void EVP_PKEY_free(EVP_PKEY *key)
    int EVP_PKEY_up_ref(EVP_PKEY *key)


cdef extern from "openssl/asn1.h" nogil:
    ctypedef struct ASN1_OBJECT:
        pass
    ctypedef struct ASN1_STRING:
        pass
    int ASN1_STRING_to_UTF8(unsigned char **out, const ASN1_STRING *text)


cdef extern from "openssl/objects.h" nogil:
    int NID_undef
    int NID_commonName
    int NID_kx_ecdhe, NID_kx_rsa
    int NID_auth_rsa, NID_auth_ecdsa
    int OBJ_obj2nid(const ASN1_OBJECT *object)
    const char *OBJ_nid2sn(int nid)
    int OBJ_obj2txt(char *out, int size, const ASN1_OBJECT *object, int always_number)


cdef extern from "openssl/x509.h" nogil:
    ctypedef struct X509:
        pass
    ctypedef struct X509_CRL:
        pass
    ctypedef struct X509_REVOKED:
        pass
    ctypedef struct X509_NAME:
        pass
    ctypedef struct X509_NAME_ENTRY:
        pass
    ctypedef struct X509_STORE:
        pass
    ctypedef struct X509_STORE_CTX:
        pass
    int X509_up_ref(X509 *certificate)
    int X509_check_private_key(const X509 *certificate, const EVP_PKEY *key)
    int i2d_X509(const X509 *certificate, unsigned char **out)
    X509_NAME *X509_get_subject_name(const X509 *certificate)
    X509_NAME *X509_get_issuer_name(const X509 *certificate)
    int X509_NAME_entry_count(const X509_NAME *name)
    X509_NAME_ENTRY *X509_NAME_get_entry(const X509_NAME *name, int place)
    int X509_NAME_get_index_by_NID(const X509_NAME *name, int nid, int last_place)
    ASN1_OBJECT *X509_NAME_ENTRY_get_object(const X509_NAME_ENTRY *entry)
    ASN1_STRING *X509_NAME_ENTRY_get_data(const X509_NAME_ENTRY *entry)
    void X509_CRL_free(X509_CRL *crl)
    int X509_CRL_up_ref(X509_CRL *crl)
    int X509_CRL_get0_by_cert(X509_CRL *crl, X509_REVOKED **out, X509 *certificate)
    const char *X509_verify_cert_error_string(long error)
    int X509_STORE_add_cert(X509_STORE *store, X509 *certificate)
    int X509_STORE_add_crl(X509_STORE *store, X509_CRL *crl)
    int X509_STORE_set_flags(X509_STORE *store, unsigned long flags)
    int X509_STORE_CTX_get_error(const X509_STORE_CTX *context)
    int X509_STORE_CTX_get_error_depth(const X509_STORE_CTX *context)
    X509 *X509_STORE_CTX_get_current_cert(const X509_STORE_CTX *context)
    void *X509_STORE_CTX_get_ex_data(const X509_STORE_CTX *context, int index)
    unsigned long X509_V_FLAG_CRL_CHECK


cdef extern from "openssl/x509v3.h" nogil:
    uint32_t EXFLAG_SS
    uint32_t X509_get_extension_flags(X509 *certificate)


cdef extern from "openssl/x509.h" nogil:
    void X509_free(X509 *certificate)
    EVP_PKEY *X509_get0_pubkey(const X509 *certificate)


cdef extern from "openssl/pem.h" nogil:
    ctypedef int pem_password_cb(char *buf, int size, int rwflag, void *userdata)
    X509 *PEM_read_bio_X509(BIO *bio, X509 **out, pem_password_cb *cb, void *userdata)
    X509 *PEM_read_bio_X509_AUX(BIO *bio, X509 **out, pem_password_cb *cb, void *userdata)
    X509_CRL *PEM_read_bio_X509_CRL(BIO *bio, X509_CRL **out, pem_password_cb *cb, void *userdata)
    EVP_PKEY *PEM_read_bio_PrivateKey(BIO *bio, EVP_PKEY **out, pem_password_cb *cb, void *userdata)


cdef extern from "openssl/ssl.h" nogil:
    ctypedef struct SSL:
        pass
    ctypedef struct SSL_CTX:
        pass
    ctypedef struct SSL_METHOD:
        pass
    const SSL_METHOD *TLS_server_method()
    const SSL_METHOD *TLS_client_method()

    SSL_CTX *SSL_CTX_new(const SSL_METHOD *method)
    void SSL_CTX_free(SSL_CTX *context)
    int SSL_CTX_up_ref(SSL_CTX *context)
    uint64_t SSL_CTX_set_options(SSL_CTX *context, uint64_t options)
    uint64_t SSL_CTX_get_options(const SSL_CTX *context)
    long SSL_CTX_set_mode(SSL_CTX *context, long mode)
    int SSL_CTX_set_min_proto_version(SSL_CTX *context, int version)
    int SSL_CTX_set_max_proto_version(SSL_CTX *context, int version)
    int SSL_CTX_set_cipher_list(SSL_CTX *context, const char *ciphers)
    int SSL_CTX_set1_groups_list(SSL_CTX *context, const char *groups)
    long SSL_CTX_set_session_cache_mode(SSL_CTX *context, long mode)
    int SSL_CTX_set_num_tickets(SSL_CTX *context, size_t count)
    void SSL_CTX_set_read_ahead(SSL_CTX *context, int yes)
    void SSL_CTX_set_security_level(SSL_CTX *context, int level)
    int SSL_CTX_use_certificate(SSL_CTX *context, X509 *certificate)
    int SSL_CTX_use_PrivateKey(SSL_CTX *context, EVP_PKEY *key)
    int SSL_CTX_add1_chain_cert(SSL_CTX *context, X509 *certificate)
    int SSL_CTX_add0_chain_cert(SSL_CTX *context, X509 *certificate)
    int SSL_CTX_check_private_key(const SSL_CTX *context)
    int SSL_CTX_get_ex_new_index(long argl, void *argp, void *new_func, void *dup_func,
                                 CRYPTO_EX_free free_func)
    int SSL_CTX_set_ex_data(SSL_CTX *context, int index, void *data)
    void *SSL_CTX_get_ex_data(const SSL_CTX *context, int index)

    int SSL_CLIENT_HELLO_SUCCESS
    int SSL_CLIENT_HELLO_ERROR
    void SSL_CTX_set_client_hello_cb(
        SSL_CTX *context, int (*callback)(SSL *, int *, void *) noexcept nogil, void *arg)
    int SSL_client_hello_get0_ext(SSL *ssl, unsigned int type, const unsigned char **out,
                                  size_t *size)

    ctypedef struct SSL_CIPHER:
        pass
    ctypedef struct STACK_OF_SSL_CIPHER "STACK_OF(SSL_CIPHER)":
        pass
    STACK_OF_SSL_CIPHER *SSL_CTX_get_ciphers(const SSL_CTX *context)
    int sk_SSL_CIPHER_num(const STACK_OF_SSL_CIPHER *ciphers)
    SSL_CIPHER *sk_SSL_CIPHER_value(const STACK_OF_SSL_CIPHER *ciphers, int place)
    int SSL_CIPHER_get_kx_nid(const SSL_CIPHER *cipher)
    int SSL_CIPHER_get_auth_nid(const SSL_CIPHER *cipher)
    const char *SSL_get_cipher_name(const SSL *ssl)

    X509_STORE *SSL_CTX_get_cert_store(const SSL_CTX *context)
    int SSL_CTX_add_client_CA(SSL_CTX *context, X509 *authority)
    void SSL_set_verify(SSL *ssl, int mode,
                        int (*callback)(int, X509_STORE_CTX *) noexcept nogil)
    void SSL_set_verify_depth(SSL *ssl, int depth)
    X509 *SSL_get0_peer_certificate(const SSL *ssl)
    int SSL_get_ex_data_X509_STORE_CTX_idx()
    int SSL_VERIFY_NONE, SSL_VERIFY_PEER, SSL_VERIFY_FAIL_IF_NO_PEER_CERT

    long SSL_CTX_set_timeout(SSL_CTX *context, long seconds)
    int SSL_set_num_tickets(SSL *ssl, size_t count)
    int SSL_CTX_set_tlsext_ticket_key_evp_cb(
        SSL_CTX *context, int (*callback)(SSL *, unsigned char *, unsigned char *,
                                          EVP_CIPHER_CTX *, EVP_MAC_CTX *, int) noexcept nogil)

    int OPENSSL_NPN_NEGOTIATED
    int SSL_TLSEXT_ERR_OK, SSL_TLSEXT_ERR_ALERT_FATAL
    void SSL_CTX_set_alpn_select_cb(
        SSL_CTX *context, int (*callback)(SSL *, const unsigned char **, unsigned char *,
                                          const unsigned char *, unsigned int,
                                          void *) noexcept nogil, void *arg)
    int SSL_select_next_proto(unsigned char **out, unsigned char *out_size,
                              const unsigned char *server, unsigned int server_size,
                              const unsigned char *client, unsigned int client_size)

    uint64_t SSL_set_options(SSL *ssl, uint64_t options)
    int SSL_set_session_id_context(SSL *ssl, const unsigned char *context, unsigned int size)
    int SSL_version(const SSL *ssl)

    SSL *SSL_new(SSL_CTX *context)
    void SSL_free(SSL *ssl)
    SSL_CTX *SSL_set_SSL_CTX(SSL *ssl, SSL_CTX *context)
    SSL_CTX *SSL_get_SSL_CTX(const SSL *ssl)
    int SSL_get_ex_new_index(long argl, void *argp, void *new_func, void *dup_func,
                             CRYPTO_EX_free free_func)
    int SSL_set_ex_data(SSL *ssl, int index, void *data)
    void *SSL_get_ex_data(const SSL *ssl, int index)
    void SSL_set_bio(SSL *ssl, BIO *read, BIO *write)
    void SSL_set_accept_state(SSL *ssl)
    void SSL_set_connect_state(SSL *ssl)
    long SSL_set_mode(SSL *ssl, long mode)
    long SSL_clear_mode(SSL *ssl, long mode)
    int SSL_set_async_callback(SSL *ssl, int (*callback)(SSL *, void *) noexcept nogil)
    int SSL_set_async_callback_arg(SSL *ssl, void *arg)
    int SSL_do_handshake(SSL *ssl)
    int SSL_read_ex(SSL *ssl, void *buf, size_t size, size_t *done)
    int SSL_write_ex(SSL *ssl, const void *buf, size_t size, size_t *done)
    int SSL_shutdown(SSL *ssl)
    int SSL_get_shutdown(const SSL *ssl)
    void SSL_set_shutdown(SSL *ssl, int mode)
    int SSL_get_error(const SSL *ssl, int result)
    int SSL_is_init_finished(const SSL *ssl)
    int SSL_in_init(const SSL *ssl)
    int SSL_pending(const SSL *ssl)
    int SSL_has_pending(const SSL *ssl)
    int SSL_session_reused(const SSL *ssl)
    const char *SSL_get_version(const SSL *ssl)
    void SSL_get0_alpn_selected(const SSL *ssl, const unsigned char **name, unsigned int *size)

    int SSL_ERROR_NONE, SSL_ERROR_SSL, SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE
    int SSL_ERROR_SYSCALL, SSL_ERROR_ZERO_RETURN, SSL_ERROR_WANT_ASYNC, SSL_ERROR_WANT_ASYNC_JOB
    int SSL_SENT_SHUTDOWN, SSL_RECEIVED_SHUTDOWN
    int TLS1_2_VERSION, TLS1_3_VERSION
    long SSL_MODE_ENABLE_PARTIAL_WRITE, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
    long SSL_MODE_RELEASE_BUFFERS, SSL_MODE_ASYNC, SSL_MODE_NO_AUTO_CHAIN
    uint64_t SSL_OP_NO_COMPRESSION, SSL_OP_NO_RENEGOTIATION, SSL_OP_IGNORE_UNEXPECTED_EOF
    uint64_t SSL_OP_NO_TICKET
    long SSL_SESS_CACHE_OFF
    unsigned int TLSEXT_TYPE_server_name
    int SSL_AD_DECODE_ERROR, SSL_AD_UNRECOGNIZED_NAME, SSL_AD_INTERNAL_ERROR
    int SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST
