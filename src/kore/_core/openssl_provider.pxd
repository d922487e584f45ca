"""Declarations of OpenSSL for providers, their keys and signatures, and for async jobs.

A provider implements algorithms: tables of numbered functions (provider(7)). A job is a function
that runs on a stack of its own and can be paused (ASYNC_start_job(3)).
"""

from kore._core.openssl cimport BIO, EVP_PKEY, OSSL_PARAM, SSL


cdef extern from "openssl/core.h" nogil:
    ctypedef struct OSSL_CORE_HANDLE:
        pass
    ctypedef struct OSSL_DISPATCH:
        int function_id
        void (*function)() noexcept nogil
    ctypedef struct OSSL_ALGORITHM:
        const char *algorithm_names
        const char *property_definition
        const OSSL_DISPATCH *implementation
    ctypedef int (*OSSL_CALLBACK)(const OSSL_PARAM *params, void *argument) noexcept nogil
    ctypedef int (*OSSL_provider_init_fn)(
        const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core, const OSSL_DISPATCH **out,
        void **context) noexcept nogil
    unsigned int OSSL_PARAM_UTF8_STRING, OSSL_PARAM_OCTET_STRING, OSSL_PARAM_INTEGER
    unsigned int OSSL_PARAM_UNSIGNED_INTEGER


cdef extern from "openssl/core_names.h" nogil:
    const char *OSSL_PKEY_PARAM_BITS
    const char *OSSL_PKEY_PARAM_SECURITY_BITS
    const char *OSSL_PKEY_PARAM_MAX_SIZE
    const char *OSSL_PKEY_PARAM_DEFAULT_DIGEST
    const char *OSSL_PKEY_PARAM_GROUP_NAME
    const char *OSSL_PKEY_PARAM_PUB_KEY
    const char *OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY
    const char *OSSL_PKEY_PARAM_RSA_N
    const char *OSSL_PKEY_PARAM_RSA_E
    const char *OSSL_SIGNATURE_PARAM_PAD_MODE
    const char *OSSL_SIGNATURE_PARAM_PSS_SALTLEN
    const char *OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST


cdef extern from "openssl/core_dispatch.h" nogil:
    int OSSL_OP_KEYMGMT, OSSL_OP_SIGNATURE
    int OSSL_FUNC_PROVIDER_QUERY_OPERATION
    int OSSL_FUNC_KEYMGMT_NEW, OSSL_FUNC_KEYMGMT_FREE, OSSL_FUNC_KEYMGMT_HAS
    int OSSL_FUNC_KEYMGMT_MATCH, OSSL_FUNC_KEYMGMT_IMPORT, OSSL_FUNC_KEYMGMT_IMPORT_TYPES
    int OSSL_FUNC_KEYMGMT_EXPORT, OSSL_FUNC_KEYMGMT_EXPORT_TYPES, OSSL_FUNC_KEYMGMT_GET_PARAMS
    int OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME
    int OSSL_KEYMGMT_SELECT_PRIVATE_KEY
    int OSSL_FUNC_SIGNATURE_NEWCTX, OSSL_FUNC_SIGNATURE_FREECTX
    int OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, OSSL_FUNC_SIGNATURE_DIGEST_SIGN
    int OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS


cdef extern from "openssl/params.h" nogil:
    const OSSL_PARAM *OSSL_PARAM_locate_const(const OSSL_PARAM *params, const char *key)
    int OSSL_PARAM_get_int(const OSSL_PARAM *param, int *out)
    OSSL_PARAM *OSSL_PARAM_merge(const OSSL_PARAM *first, const OSSL_PARAM *second)
    void OSSL_PARAM_free(OSSL_PARAM *params)


cdef extern from "openssl/provider.h" nogil:
    ctypedef struct OSSL_PROVIDER:
        pass
    int OSSL_PROVIDER_add_builtin(void *library, const char *name, OSSL_provider_init_fn init)
    OSSL_PROVIDER *OSSL_PROVIDER_load(void *library, const char *name)
    int OSSL_PROVIDER_available(void *library, const char *name)


cdef extern from "openssl/crypto.h" nogil:
    void *OPENSSL_zalloc(size_t size)
    int OPENSSL_strcasecmp(const char *one, const char *other)


cdef extern from "openssl/evp.h" nogil:
    ctypedef struct EVP_PKEY_CTX:
        pass
    ctypedef struct EVP_MD:
        pass
    ctypedef struct EVP_MD_CTX:
        pass
    EVP_MD *EVP_MD_fetch(void *library, const char *name, const char *properties)
    void EVP_MD_free(EVP_MD *hash)
    int EVP_MD_get_size(const EVP_MD *hash)
    EVP_MD_CTX *EVP_MD_CTX_new()
    int EVP_MD_CTX_reset(EVP_MD_CTX *context)
    void EVP_MD_CTX_free(EVP_MD_CTX *context)
    int EVP_DigestSignInit(EVP_MD_CTX *context, EVP_PKEY_CTX **parameters, const EVP_MD *hash,
                           void *engine, EVP_PKEY *key)
    int EVP_DigestSign(EVP_MD_CTX *context, unsigned char *signature, size_t *size,
                       const unsigned char *text, size_t text_size)
    EVP_PKEY *d2i_AutoPrivateKey(EVP_PKEY **key, const unsigned char **der, long size)
    int EVP_PKEY_PUBLIC_KEY, EVP_PKEY_KEYPAIR
    int EVP_PKEY_is_a(const EVP_PKEY *key, const char *name)
    const char *EVP_PKEY_get0_type_name(const EVP_PKEY *key)
    int EVP_PKEY_eq(const EVP_PKEY *one, const EVP_PKEY *other)
    int EVP_PKEY_get_size(const EVP_PKEY *key)
    int EVP_PKEY_get_params(const EVP_PKEY *key, OSSL_PARAM *params)
    int EVP_PKEY_todata(const EVP_PKEY *key, int selection, OSSL_PARAM **params)
    int EVP_PKEY_export(const EVP_PKEY *key, int selection, OSSL_CALLBACK callback, void *argument)
    EVP_PKEY_CTX *EVP_PKEY_CTX_new_from_name(void *library, const char *name, const char *query)
    void EVP_PKEY_CTX_free(EVP_PKEY_CTX *context)
    int EVP_PKEY_fromdata_init(EVP_PKEY_CTX *context)
    int EVP_PKEY_fromdata(EVP_PKEY_CTX *context, EVP_PKEY **key, int selection, OSSL_PARAM *params)


cdef extern from "openssl/rsa.h" nogil:
    int EVP_PKEY_CTX_set_rsa_padding(EVP_PKEY_CTX *context, int padding)
    int EVP_PKEY_CTX_set_rsa_pss_saltlen(EVP_PKEY_CTX *context, int size)


cdef extern from "openssl/err.h" nogil:
    int ERR_LIB_PROV, ERR_R_OPERATION_FAIL, ERR_TXT_STRING
    void ERR_raise_data(int library, int reason, const char *format, ...)
    unsigned long ERR_get_error_all(
        const char **file, int *line, const char **function, const char **data, int *flags)


cdef extern from "openssl/async.h" nogil:
    ctypedef struct ASYNC_JOB:
        pass
    ctypedef struct ASYNC_WAIT_CTX:
        pass
    ctypedef int (*ASYNC_callback_fn)(void *argument) noexcept
    int ASYNC_is_capable()
    ASYNC_JOB *ASYNC_get_current_job()
    ASYNC_WAIT_CTX *ASYNC_get_wait_ctx(ASYNC_JOB *job)
    int ASYNC_WAIT_CTX_get_callback(
        ASYNC_WAIT_CTX *context, ASYNC_callback_fn *callback, void **argument)
    int ASYNC_pause_job()


cdef extern from "openssl/ssl.h" nogil:
    ctypedef int (*SSL_async_callback_fn)(SSL *ssl, void *argument) noexcept
    int SSL_set_async_callback(SSL *ssl, SSL_async_callback_fn callback)
    int SSL_set_async_callback_arg(SSL *ssl, void *argument)
    int SSL_waiting_for_async(SSL *ssl)
    int SSL_set1_sigalgs_list(SSL *ssl, const char *algorithms)


cdef extern from "openssl/bio.h" nogil:
    int BIO_new_bio_pair(BIO **one, size_t one_size, BIO **other, size_t other_size)
    int BIO_read(BIO *bio, void *data, int size)
    int BIO_write(BIO *bio, const void *data, int size)
