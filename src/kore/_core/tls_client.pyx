# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The certificate of a client: verified, and as applications and logs see it."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from kore._core.openssl cimport (
    ASN1_OBJECT, ASN1_STRING_to_UTF8, NID_commonName, NID_undef, OBJ_nid2sn, OBJ_obj2nid,
    OBJ_obj2txt, OPENSSL_free, SSL, SSL_CTX, SSL_get0_peer_certificate, SSL_get_SSL_CTX,
    SSL_get_ex_data_X509_STORE_CTX_idx, X509, X509_CRL_get0_by_cert, X509_NAME, X509_NAME_ENTRY,
    X509_NAME_ENTRY_get_data, X509_NAME_ENTRY_get_object, X509_NAME_entry_count,
    X509_NAME_get_entry, X509_NAME_get_index_by_NID, X509_REVOKED, X509_STORE_CTX,
    X509_STORE_CTX_get_current_cert, X509_STORE_CTX_get_error, X509_STORE_CTX_get_error_depth,
    X509_STORE_CTX_get_ex_data, X509_get_issuer_name, X509_get_subject_name,
    X509_up_ref, X509_verify_cert_error_string, i2d_X509)
from kore._core.tls_names cimport HostName, find_name
from kore._core.tls_state cimport (
    DomainState, HandshakeState, get_domain_state, get_handshake_state)

cdef enum:
    REVOKED = 1             # X509_CRL_get0_by_cert
    IDENTIFIER_MAX = 128    # bytes of an object identifier as text


cdef int verify_client(int is_valid, X509_STORE_CTX *chain) noexcept nogil:
    """Remember which certificate of a client's was refused, for the log. OpenSSL calls this."""
    cdef SSL *ssl = <SSL *>X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx())
    cdef HandshakeState *handshake = get_handshake_state(ssl)
    cdef X509 *certificate = X509_STORE_CTX_get_current_cert(chain)
    if is_valid or handshake.refusal:
        return is_valid
    handshake.refusal = X509_STORE_CTX_get_error(chain)
    handshake.refused_depth = X509_STORE_CTX_get_error_depth(chain)
    if certificate != NULL and X509_up_ref(certificate):
        handshake.refused = certificate
    return is_valid


cdef bytes get_client_certificate(const SSL *ssl):
    """Return a client's certificate as DER, or None. Raises RuntimeError as Kore does."""
    cdef X509 *certificate = SSL_get0_peer_certificate(ssl)
    cdef int size
    cdef unsigned char *out
    cdef bytes encoded
    if certificate == NULL:
        return None
    size = i2d_X509(certificate, NULL)
    if size <= 0:
        raise RuntimeError("failed to obtain certificate data")
    encoded = PyBytes_FromStringAndSize(NULL, size)
    out = <unsigned char *>PyBytes_AS_STRING(encoded)
    i2d_X509(certificate, &out)
    return encoded


cdef dict get_client_names(const SSL *ssl):
    """Return issuer and subject of a client's certificate, by short names, or None."""
    cdef X509 *certificate = SSL_get0_peer_certificate(ssl)
    if certificate == NULL:
        return None
    return {
        "issuer": convert_name(X509_get_issuer_name(certificate), "issuer"),
        "subject": convert_name(X509_get_subject_name(certificate), "subject"),
    }


cdef dict convert_name(const X509_NAME *name, str role):
    """Return a distinguished name as a dict. Of an attribute's values, the last one."""
    cdef dict found = {}
    cdef X509_NAME_ENTRY *entry
    cdef bytes value
    cdef int i
    for i in range(X509_NAME_entry_count(name)):
        entry = X509_NAME_get_entry(name, i)
        value = read_value(entry)
        if value is None:
            raise RuntimeError(f"failed to add {role} name to dictionary")
        found[format_attribute(X509_NAME_ENTRY_get_object(entry))] = value.decode()
    return found


cdef str format_attribute(const ASN1_OBJECT *attribute):
    """Return OpenSSL's short name of an attribute, `CN`, or its number if it has none."""
    cdef char number[IDENTIFIER_MAX]
    cdef int nid = OBJ_obj2nid(attribute)
    if nid != NID_undef:
        return OBJ_nid2sn(nid).decode()
    OBJ_obj2txt(number, sizeof(number), attribute, 1)
    return number.decode()


cdef bytes read_value(X509_NAME_ENTRY *entry):
    """Return the value of an attribute as UTF-8; None if it is not text."""
    cdef unsigned char *text
    cdef int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry))
    cdef bytes value
    if size < 0:
        return None
    value = PyBytes_FromStringAndSize(<char *>text, size)
    OPENSSL_free(text)
    return value


cdef bytes read_common_name(const X509 *certificate):
    """Return the common name of a certificate's subject, the last one, or None."""
    cdef X509_NAME *name = X509_get_subject_name(certificate)
    cdef int place = -1
    cdef int following = X509_NAME_get_index_by_NID(name, NID_commonName, -1)
    while following >= 0:
        place = following
        following = X509_NAME_get_index_by_NID(name, NID_commonName, place)
    return None if place < 0 else read_value(X509_NAME_get_entry(name, place))


cdef bytes get_client_common_name(const SSL *ssl):
    """Return the common name in a client's certificate as UTF-8; None without."""
    cdef X509 *certificate = SSL_get0_peer_certificate(ssl)
    return None if certificate == NULL else read_common_name(certificate)


cdef str describe_refusal(const SSL *ssl):
    """Return why a client's certificate was refused, for the log; None if none was."""
    cdef HandshakeState *handshake = get_handshake_state(ssl)
    cdef bytes name = None
    if not handshake.refusal:
        return None
    reason = X509_verify_cert_error_string(handshake.refusal).decode()
    if handshake.refused != NULL:
        name = read_common_name(handshake.refused)
    shown = "a client" if name is None else ascii(name.decode())
    return (f"X509 verification error depth:{handshake.refused_depth} - {reason}, "
            f"certificate of {shown}")


cdef bint is_client_revoked(const SSL *ssl) noexcept nogil:
    """Return whether the domain's newest CRLs revoke the certificate of an open connection.

    Also of one whose handshake goes on with older lists.
    """
    cdef HandshakeState *handshake = get_handshake_state(ssl)
    cdef X509 *certificate = SSL_get0_peer_certificate(ssl)
    cdef X509_REVOKED *entry
    cdef HostName *found
    cdef DomainState *domain
    cdef int i
    if handshake.domain == NULL or not handshake.domain.wants_certificate:
        return False
    found = find_name(&handshake.server.names, handshake.domain.name, handshake.domain.name_size)
    if found == NULL or found.value == NULL:
        return False
    if certificate == NULL:
        return SSL_get_SSL_CTX(ssl) != <SSL_CTX *>found.value
    domain = get_domain_state(<SSL_CTX *>found.value)
    for i in range(domain.crl_count):
        if X509_CRL_get0_by_cert(domain.crls[i], &entry, certificate) == REVOKED:
            return True
    return False
