# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Private keys that are in the key process: a provider of OpenSSL that has public halves only.

OpenSSL signs in a handshake by fetching an implementation of "digest-sign" for the key. A key of
the provider `kore` has the public half of a certificate's key, the id of its private half, and a
queue. To sign is to put a request into the queue and to pause the async job that the handshake runs
in; it is resumed when the key process has responded (key_channel.pyx), and the handshake goes on.

What makes OpenSSL sign with this provider, instead of exporting the key to its own, is that
`export_key` refuses the private half. All questions about the public half are answered by the
default provider.

Sessions need nothing of this module. They set SSL_MODE_ASYNC and SSL_set_async_callback(3); the
callback is called once, when the job is to be resumed. A job that is resumed before gives up its
signature: that is how a session ends a paused job, which SSL_free(3) would leak.

The functions of the provider are called from async jobs, which have a stack of 32 KiB: they use
neither Python nor the GIL.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset, strcmp

from kore._core.key_channel cimport KeyChannel
from kore._core.openssl cimport (
    BIO, BIO_free, BIO_new_mem_buf, ERR_clear_error, EVP_PKEY, EVP_PKEY_free, OPENSSL_free,
    OSSL_PARAM, OSSL_PARAM_construct_end, OSSL_PARAM_construct_octet_string, PEM_read_bio_X509,
    X509, X509_free, X509_get0_pubkey)
from kore._core.openssl_provider cimport (
    ASYNC_callback_fn, ASYNC_get_current_job, ASYNC_get_wait_ctx, ASYNC_is_capable, ASYNC_JOB,
    ASYNC_pause_job, ASYNC_WAIT_CTX_get_callback, ERR_LIB_PROV, ERR_R_OPERATION_FAIL,
    ERR_raise_data, EVP_PKEY_CTX, EVP_PKEY_CTX_free, EVP_PKEY_CTX_new_from_name, EVP_PKEY_eq,
    EVP_PKEY_export, EVP_PKEY_fromdata, EVP_PKEY_fromdata_init, EVP_PKEY_get0_type_name,
    EVP_PKEY_get_params, EVP_PKEY_get_size, EVP_PKEY_is_a, EVP_PKEY_KEYPAIR, EVP_PKEY_PUBLIC_KEY,
    EVP_PKEY_todata, OPENSSL_strcasecmp, OPENSSL_zalloc, OSSL_ALGORITHM, OSSL_CALLBACK,
    OSSL_CORE_HANDLE, OSSL_DISPATCH, OSSL_FUNC_KEYMGMT_EXPORT, OSSL_FUNC_KEYMGMT_EXPORT_TYPES,
    OSSL_FUNC_KEYMGMT_FREE, OSSL_FUNC_KEYMGMT_GET_PARAMS, OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS,
    OSSL_FUNC_KEYMGMT_HAS, OSSL_FUNC_KEYMGMT_IMPORT, OSSL_FUNC_KEYMGMT_IMPORT_TYPES,
    OSSL_FUNC_KEYMGMT_MATCH, OSSL_FUNC_KEYMGMT_NEW, OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME,
    OSSL_FUNC_PROVIDER_QUERY_OPERATION, OSSL_FUNC_SIGNATURE_DIGEST_SIGN,
    OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, OSSL_FUNC_SIGNATURE_FREECTX, OSSL_FUNC_SIGNATURE_NEWCTX,
    OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS,
    OSSL_KEYMGMT_SELECT_PRIVATE_KEY, OSSL_OP_KEYMGMT, OSSL_OP_SIGNATURE, OSSL_PARAM_free,
    OSSL_PARAM_get_int, OSSL_PARAM_INTEGER, OSSL_PARAM_locate_const, OSSL_PARAM_merge,
    OSSL_PARAM_OCTET_STRING, OSSL_PARAM_UNSIGNED_INTEGER, OSSL_PARAM_UTF8_STRING,
    OSSL_PKEY_PARAM_BITS, OSSL_PKEY_PARAM_DEFAULT_DIGEST, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY,
    OSSL_PKEY_PARAM_GROUP_NAME, OSSL_PKEY_PARAM_MAX_SIZE, OSSL_PKEY_PARAM_PUB_KEY,
    OSSL_PKEY_PARAM_RSA_E, OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_SECURITY_BITS,
    OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST, OSSL_PROVIDER_add_builtin, OSSL_PROVIDER_available,
    OSSL_PROVIDER_load, OSSL_SIGNATURE_PARAM_PAD_MODE, OSSL_SIGNATURE_PARAM_PSS_SALTLEN)
from kore._core.signing_queue cimport (
    SIGNED, WAITING, SigningQueue, SigningRequest, add_request, hold_queue, release_queue,
    remove_request)

cdef enum:
    NO_PADDING = 0              # ECDSA
    PKCS1_PADDING = 1           # RSA_PKCS1_PADDING
    PSS_PADDING = 6             # RSA_PKCS1_PSS_PADDING
    PSS_SALT_OF_DIGEST = -1     # RSA_PSS_SALTLEN_DIGEST

ctypedef void (*Function)() noexcept nogil

cdef struct Location:           # of the private half of a key
    SigningQueue *queue
    uint32_t key_id

cdef struct Key:
    const char *type            # "EC" or "RSA"
    EVP_PKEY *public_half
    Location location           # queue NULL: a public key of another provider, for a comparison

cdef struct Signer:             # what is known of a signature before its text
    Key *key
    uint8_t hash
    uint8_t hash_size
    uint8_t padding

cdef struct HashFunction:
    const char *name
    uint8_t number              # as in RequestHead
    uint8_t size

cdef const char *NAME = b"kore"
cdef const char *PROPERTIES = b"provider=kore"
cdef const char *OTHER_PROVIDERS = b"provider!=kore"
cdef const char *LOCATION_PARAM = b"kore-location"

cdef HashFunction[6] HASH_FUNCTIONS = [
    HashFunction(b"SHA2-256", 1, 32), HashFunction(b"SHA256", 1, 32),
    HashFunction(b"SHA2-384", 2, 48), HashFunction(b"SHA384", 2, 48),
    HashFunction(b"SHA2-512", 3, 64), HashFunction(b"SHA512", 3, 64)]


# ---- keys: what OpenSSL calls key management (provider-keymgmt(7))

cdef void *new_key(const char *kind) noexcept nogil:
    cdef Key *key = <Key *>OPENSSL_zalloc(sizeof(Key))
    if key != NULL:
        key.type = kind
    return key


cdef void *new_ec_key(void *provider) noexcept nogil:
    return new_key(b"EC")


cdef void *new_rsa_key(void *provider) noexcept nogil:
    return new_key(b"RSA")


cdef void free_key(Key *key) noexcept nogil:
    if key != NULL:
        EVP_PKEY_free(key.public_half)
        release_queue(key.location.queue)
        OPENSSL_free(key)


cdef int has_key(const Key *key, int selection) noexcept nogil:
    """Return whether the key can do what the private half, or the public one, is needed for."""
    if selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY and key.location.queue == NULL:
        return 0
    return key.public_half != NULL


cdef int match_keys(const Key *one, const Key *other, int selection) noexcept nogil:
    return EVP_PKEY_eq(one.public_half, other.public_half) == 1


cdef int import_key(Key *key, int selection, const OSSL_PARAM *params) noexcept nogil:
    """Take over a public half, and the location of the private one if the parameters have it."""
    cdef const OSSL_PARAM *location = OSSL_PARAM_locate_const(params, LOCATION_PARAM)
    cdef EVP_PKEY_CTX *context
    cdef int done
    if key.public_half != NULL:
        return 0
    context = EVP_PKEY_CTX_new_from_name(NULL, key.type, OTHER_PROVIDERS)
    done = context != NULL and EVP_PKEY_fromdata_init(context) > 0 and EVP_PKEY_fromdata(
        context, &key.public_half, EVP_PKEY_PUBLIC_KEY, <OSSL_PARAM *>params) > 0
    EVP_PKEY_CTX_free(context)
    if done and location != NULL and location.data_size == sizeof(Location):
        key.location = (<Location *>location.data)[0]
        hold_queue(key.location.queue)
    return done


cdef int export_key(Key *key, int selection, OSSL_CALLBACK callback,
                    void *argument) noexcept nogil:
    if selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY:     # it is not in this process
        return 0
    return EVP_PKEY_export(key.public_half, selection, callback, argument)


cdef const OSSL_PARAM *list_key_data(int selection) noexcept nogil:
    return KEY_DATA


cdef int get_key_params(Key *key, OSSL_PARAM *params) noexcept nogil:
    return EVP_PKEY_get_params(key.public_half, params)


cdef const OSSL_PARAM *list_key_params(void *provider) noexcept nogil:
    return KEY_PARAMS


cdef const char *name_ec_operation(int operation) noexcept nogil:
    return b"ECDSA" if operation == OSSL_OP_SIGNATURE else b"EC"


cdef const char *name_rsa_operation(int operation) noexcept nogil:
    return b"RSA"


# ---- signatures (provider-signature(7))

cdef void *new_signer(void *provider, const char *properties) noexcept nogil:
    return OPENSSL_zalloc(sizeof(Signer))


cdef void free_signer(Signer *signer) noexcept nogil:
    OPENSSL_free(signer)


cdef int begin_signature(Signer *signer, const char *hash_name, Key *key,
                         const OSSL_PARAM *params) noexcept nogil:
    """Take note of the key and the hash function of a signature."""
    cdef int i
    if key != NULL:
        signer.key = key
    if signer.key == NULL or signer.key.location.queue == NULL or hash_name == NULL:
        return 0
    signer.padding = NO_PADDING if strcmp(signer.key.type, b"EC") == 0 else PKCS1_PADDING
    for i in range(6):
        if OPENSSL_strcasecmp(hash_name, HASH_FUNCTIONS[i].name) == 0:
            signer.hash = HASH_FUNCTIONS[i].number
            signer.hash_size = HASH_FUNCTIONS[i].size
            return set_signature_params(signer, params)
    return report_error(b"the key process signs with SHA-256, SHA-384 and SHA-512 only")


cdef int set_signature_params(Signer *signer, const OSSL_PARAM *params) noexcept nogil:
    """Set the padding of RSA; the salt of PSS is as long as the digest, which TLS asks for."""
    cdef const OSSL_PARAM *param
    cdef int number = 0
    if params == NULL:
        return 1
    param = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE)
    if param != NULL:
        if not OSSL_PARAM_get_int(param, &number) or number not in (PKCS1_PADDING, PSS_PADDING):
            return 0
        signer.padding = <uint8_t>number
    param = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN)
    if param == NULL:
        return 1
    if param.data_type == OSSL_PARAM_UTF8_STRING:
        return strcmp(<const char *>param.data, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0
    return OSSL_PARAM_get_int(param, &number) and number == PSS_SALT_OF_DIGEST


cdef const OSSL_PARAM *list_signature_params(void *signer, void *provider) noexcept nogil:
    return SIGNATURE_PARAMS


cdef int sign_text(Signer *signer, unsigned char *signature, size_t *size, size_t room,
                   const unsigned char *text, size_t text_size) noexcept nogil:
    """Have the key process sign a text; without *signature*, return the maximum size of one.

    Pauses the job once. If it is resumed while the request still waits, its session is being freed.
    """
    cdef SigningRequest request
    cdef SigningQueue *queue = signer.key.location.queue
    cdef ASYNC_JOB *job
    if signature == NULL:
        size[0] = EVP_PKEY_get_size(signer.key.public_half)
        return 1
    job = ASYNC_get_current_job()
    if job == NULL:
        return report_error(b"a remote key signs in handshakes of SSL_MODE_ASYNC only")
    memset(&request, 0, sizeof(request))
    request.head.key_id = signer.key.location.key_id
    request.head.padding = signer.padding
    request.head.salt_size = signer.hash_size if signer.padding == PSS_PADDING else 0
    request.head.hash = signer.hash
    request.text = text
    request.text_size = text_size
    request.signature = signature
    request.signature_max = room
    ASYNC_WAIT_CTX_get_callback(ASYNC_get_wait_ctx(job), <ASYNC_callback_fn *>&request.callback,
                                &request.callback_argument)
    if not add_request(queue, &request):
        return report_error(request.error)
    ASYNC_pause_job()
    if request.state == WAITING:
        remove_request(queue, &request)
        return report_error(b"the connection was closed")
    if request.state != SIGNED:
        return report_error(request.error)
    size[0] = request.signature_size
    return 1


cdef int report_error(const char *reason) noexcept nogil:
    """Add *reason* to OpenSSL's errors; return 0."""
    ERR_raise_data(ERR_LIB_PROV, ERR_R_OPERATION_FAIL, b"%s", reason)
    return 0


# ---- the provider, and its tables

cdef OSSL_PARAM[5] KEY_DATA
cdef OSSL_PARAM[9] KEY_PARAMS
cdef OSSL_PARAM[3] SIGNATURE_PARAMS
cdef OSSL_DISPATCH[12] EC_KEYS
cdef OSSL_DISPATCH[12] RSA_KEYS
cdef OSSL_DISPATCH[7] SIGNATURES
cdef OSSL_DISPATCH[2] PROVIDER
cdef OSSL_ALGORITHM[3] KEY_ALGORITHMS
cdef OSSL_ALGORITHM[3] SIGNATURE_ALGORITHMS


cdef const OSSL_ALGORITHM *list_algorithms(void *provider, int operation,
                                           int *no_cache) noexcept nogil:
    no_cache[0] = 0
    if operation == OSSL_OP_KEYMGMT:
        return KEY_ALGORITHMS
    return SIGNATURE_ALGORITHMS if operation == OSSL_OP_SIGNATURE else NULL


cdef int init_provider(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core,
                       const OSSL_DISPATCH **out, void **context) noexcept nogil:
    out[0] = PROVIDER
    context[0] = <void *>handle
    return 1


cdef OSSL_PARAM make_param(const char *key, unsigned int data_type) noexcept nogil:
    cdef OSSL_PARAM param = OSSL_PARAM_construct_end()
    param.key = key
    param.data_type = data_type
    return param


cdef void fill_keys(OSSL_DISPATCH *table, Function new_function, Function name_function) noexcept:
    table[0] = OSSL_DISPATCH(OSSL_FUNC_KEYMGMT_NEW, new_function)
    table[1] = OSSL_DISPATCH(OSSL_FUNC_KEYMGMT_FREE, <Function>free_key)
    table[2] = OSSL_DISPATCH(OSSL_FUNC_KEYMGMT_HAS, <Function>has_key)
    table[3] = OSSL_DISPATCH(OSSL_FUNC_KEYMGMT_MATCH, <Function>match_keys)
    table[4] = OSSL_DISPATCH(OSSL_FUNC_KEYMGMT_IMPORT, <Function>import_key)
    table[5] = OSSL_DISPATCH(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, <Function>list_key_data)
    table[6] = OSSL_DISPATCH(OSSL_FUNC_KEYMGMT_EXPORT, <Function>export_key)
    table[7] = OSSL_DISPATCH(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, <Function>list_key_data)
    table[8] = OSSL_DISPATCH(OSSL_FUNC_KEYMGMT_GET_PARAMS, <Function>get_key_params)
    table[9] = OSSL_DISPATCH(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, <Function>list_key_params)
    table[10] = OSSL_DISPATCH(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, name_function)
    table[11] = OSSL_DISPATCH(0, NULL)


cdef void fill_tables() noexcept:
    KEY_DATA[0] = make_param(OSSL_PKEY_PARAM_GROUP_NAME, OSSL_PARAM_UTF8_STRING)
    KEY_DATA[1] = make_param(OSSL_PKEY_PARAM_PUB_KEY, OSSL_PARAM_OCTET_STRING)
    KEY_DATA[2] = make_param(OSSL_PKEY_PARAM_RSA_N, OSSL_PARAM_UNSIGNED_INTEGER)
    KEY_DATA[3] = make_param(OSSL_PKEY_PARAM_RSA_E, OSSL_PARAM_UNSIGNED_INTEGER)
    KEY_DATA[4] = OSSL_PARAM_construct_end()
    KEY_PARAMS[0] = make_param(OSSL_PKEY_PARAM_BITS, OSSL_PARAM_INTEGER)
    KEY_PARAMS[1] = make_param(OSSL_PKEY_PARAM_SECURITY_BITS, OSSL_PARAM_INTEGER)
    KEY_PARAMS[2] = make_param(OSSL_PKEY_PARAM_MAX_SIZE, OSSL_PARAM_INTEGER)
    KEY_PARAMS[3] = make_param(OSSL_PKEY_PARAM_DEFAULT_DIGEST, OSSL_PARAM_UTF8_STRING)
    KEY_PARAMS[4] = make_param(OSSL_PKEY_PARAM_GROUP_NAME, OSSL_PARAM_UTF8_STRING)
    KEY_PARAMS[5] = make_param(OSSL_PKEY_PARAM_PUB_KEY, OSSL_PARAM_OCTET_STRING)
    KEY_PARAMS[6] = make_param(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, OSSL_PARAM_OCTET_STRING)
    KEY_PARAMS[7] = OSSL_PARAM_construct_end()
    SIGNATURE_PARAMS[0] = make_param(OSSL_SIGNATURE_PARAM_PAD_MODE, OSSL_PARAM_INTEGER)
    SIGNATURE_PARAMS[1] = make_param(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, OSSL_PARAM_UTF8_STRING)
    SIGNATURE_PARAMS[2] = OSSL_PARAM_construct_end()
    fill_keys(EC_KEYS, <Function>new_ec_key, <Function>name_ec_operation)
    fill_keys(RSA_KEYS, <Function>new_rsa_key, <Function>name_rsa_operation)
    SIGNATURES[0] = OSSL_DISPATCH(OSSL_FUNC_SIGNATURE_NEWCTX, <Function>new_signer)
    SIGNATURES[1] = OSSL_DISPATCH(OSSL_FUNC_SIGNATURE_FREECTX, <Function>free_signer)
    SIGNATURES[2] = OSSL_DISPATCH(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, <Function>begin_signature)
    SIGNATURES[3] = OSSL_DISPATCH(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, <Function>sign_text)
    SIGNATURES[4] = OSSL_DISPATCH(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS,
                                  <Function>set_signature_params)
    SIGNATURES[5] = OSSL_DISPATCH(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS,
                                  <Function>list_signature_params)
    SIGNATURES[6] = OSSL_DISPATCH(0, NULL)
    PROVIDER[0] = OSSL_DISPATCH(OSSL_FUNC_PROVIDER_QUERY_OPERATION, <Function>list_algorithms)
    PROVIDER[1] = OSSL_DISPATCH(0, NULL)
    KEY_ALGORITHMS[0] = OSSL_ALGORITHM(b"EC:id-ecPublicKey", PROPERTIES, &EC_KEYS[0])
    KEY_ALGORITHMS[1] = OSSL_ALGORITHM(b"RSA:rsaEncryption", PROPERTIES, &RSA_KEYS[0])
    KEY_ALGORITHMS[2] = OSSL_ALGORITHM(NULL, NULL, NULL)
    SIGNATURE_ALGORITHMS[0] = OSSL_ALGORITHM(b"ECDSA", PROPERTIES, &SIGNATURES[0])
    SIGNATURE_ALGORITHMS[1] = OSSL_ALGORITHM(b"RSA", PROPERTIES, &SIGNATURES[0])
    SIGNATURE_ALGORITHMS[2] = OSSL_ALGORITHM(NULL, NULL, NULL)


cdef int load_provider() except -1:
    """Register and load the provider, once in a process.

    To load one provider is to lose the default one, unless it was loaded explicitly.
    """
    if OSSL_PROVIDER_available(NULL, NAME):
        return 0
    if not ASYNC_is_capable():
        raise RuntimeError("this OpenSSL has no async jobs: keys of another process cannot sign")
    fill_tables()
    if OSSL_PROVIDER_available(NULL, b"default"):
        OSSL_PROVIDER_load(NULL, b"default")
    if not OSSL_PROVIDER_add_builtin(NULL, NAME, init_provider) or (
            OSSL_PROVIDER_load(NULL, NAME) == NULL):
        raise RuntimeError("OpenSSL does not load the provider of remote keys")
    return 0


# ---- what workers use

cdef EVP_PKEY *make_key(EVP_PKEY *public_half, Location *location) noexcept nogil:
    """Return a key of the provider, or NULL."""
    cdef OSSL_PARAM *params = NULL
    cdef OSSL_PARAM *all_params = NULL
    cdef OSSL_PARAM[2] added
    cdef EVP_PKEY *key = NULL
    cdef EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(
        NULL, EVP_PKEY_get0_type_name(public_half), PROPERTIES)
    added[0] = OSSL_PARAM_construct_octet_string(LOCATION_PARAM, location, sizeof(Location))
    added[1] = OSSL_PARAM_construct_end()
    if EVP_PKEY_todata(public_half, EVP_PKEY_PUBLIC_KEY, &params) > 0:
        all_params = OSSL_PARAM_merge(params, added)
    if context != NULL and all_params != NULL and EVP_PKEY_fromdata_init(context) > 0:
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, all_params)
    OPENSSL_free(all_params)
    OSSL_PARAM_free(params)
    EVP_PKEY_CTX_free(context)
    return key


cdef X509 *parse_certificate(bytes pem) except NULL:
    """Return the first certificate of *pem*."""
    cdef BIO *source = BIO_new_mem_buf(<const char *>pem, <int>len(pem))
    cdef X509 *certificate = NULL
    if source != NULL:
        certificate = PEM_read_bio_X509(source, NULL, NULL, NULL)
        BIO_free(source)
    if certificate == NULL:
        ERR_clear_error()
        raise ValueError("not a certificate in PEM")
    return certificate


cdef class RemoteKey(TlsKey):
    """The private key *key_id* of the key process, which belongs to a certificate.

    Raises ValueError if *certificate_pem* does not begin with a certificate that has a key of RSA
    or of an elliptic curve with ECDSA.
    """

    def __init__(self, KeyChannel channel not None, uint32_t key_id,
                 bytes certificate_pem not None):
        cdef X509 *certificate
        cdef EVP_PKEY *public_half
        cdef Location location
        if self.key != NULL:
            raise RuntimeError("a key begins once")
        load_provider()
        certificate = parse_certificate(certificate_pem)
        try:
            public_half = X509_get0_pubkey(certificate)
            if public_half == NULL or not (EVP_PKEY_is_a(public_half, b"RSA")
                                           or EVP_PKEY_is_a(public_half, b"EC")):
                raise ValueError("the key of the certificate is neither RSA nor ECDSA")
            location.queue = channel.queue
            location.key_id = key_id
            self.key = make_key(public_half, &location)
        finally:
            X509_free(certificate)
            ERR_clear_error()
        if self.key == NULL:
            raise ValueError("the key of the certificate is not usable")
