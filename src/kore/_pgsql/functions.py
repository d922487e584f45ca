"""Names that may precede a parenthesis in a harmless query (see `harmless.py`).

Functions that change the session are not among them: set_config(), setseed(), session-level
advisory locks, functions that run a query given as text.
"""

from typing import Final

# Keywords that cannot be the name of an application's function: clauses, types with a size.
_WORDS: Final = """
    all and any array as asc between bit bpchar case char character current_time
    current_timestamp dec decimal desc distinct else except exists float from group having ilike
    in intersect interval into join lateral left like limit localtime localtimestamp nchar not
    null numeric offset on only or order precision returning right row select some table then
    time timestamp timestamptz timetz to union using values varbit varchar when where window
"""

# Functions of pg_catalog. The effect of nextval() and setval() is one that INSERT has, too.
_FUNCTIONS: Final = """
    abs acos acosd acosh age array_agg array_append array_cat array_dims array_fill array_length
    array_lower array_ndims array_position array_positions array_prepend array_remove
    array_replace array_reverse array_sample array_shuffle array_sort array_to_json
    array_to_string array_to_tsvector array_upper ascii asin asind asinh atan atan2 atan2d atand
    atanh avg bit_and bit_count bit_length bit_or bit_xor bool_and bool_or broadcast btrim
    cardinality cast cbrt ceil ceiling char_length character_length chr clock_timestamp coalesce
    col_description concat concat_ws convert convert_from convert_to corr cos cosd cosh cot cotd
    count covar_pop covar_samp crc32 crc32c cume_dist current_database current_query
    current_schema current_schemas current_setting currval date date_add date_bin date_part
    date_subtract date_trunc decode degrees dense_rank div encode enum_first enum_last enum_range
    erf erfc every exp extract factorial family first_value floor format format_type gamma gcd
    gen_random_uuid generate_series generate_subscripts get_bit get_byte get_current_ts_config
    greatest grouping has_any_column_privilege has_column_privilege has_database_privilege
    has_function_privilege has_schema_privilege has_sequence_privilege has_table_privilege height
    host hostmask inet_client_addr inet_client_port inet_merge inet_same_family inet_server_addr
    inet_server_port initcap isempty isfinite json json_agg json_agg_strict json_array
    json_array_elements json_array_elements_text json_array_length json_arrayagg json_build_array
    json_build_object json_each json_each_text json_exists json_extract_path
    json_extract_path_text json_object json_object_agg json_object_agg_strict json_object_keys
    json_objectagg json_populate_record json_populate_recordset json_query json_scalar
    json_serialize json_strip_nulls json_table json_to_record json_to_recordset json_to_tsvector
    json_typeof json_value jsonb_agg jsonb_agg_strict jsonb_array_elements
    jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each
    jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object
    jsonb_object_agg jsonb_object_agg_strict jsonb_object_keys jsonb_path_exists
    jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz jsonb_path_query
    jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first
    jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record jsonb_populate_recordset
    jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record jsonb_to_recordset
    jsonb_to_tsvector jsonb_typeof justify_days justify_hours justify_interval lag last_value
    lastval lcm lead least length lgamma ln log log10 lower lower_inc lower_inf lpad ltrim
    make_date make_interval make_time make_timestamp make_timestamptz masklen max md5 merge_action
    min min_scale mod mode mxid_age netmask network nextval normalize now nth_value ntile nullif
    num_nonnulls num_nulls numnode obj_description octet_length overlay parse_ident percent_rank
    percentile_cont percentile_disc pg_advisory_xact_lock pg_advisory_xact_lock_shared
    pg_backend_pid pg_blocking_pids pg_client_encoding pg_column_size pg_conf_load_time
    pg_current_wal_lsn pg_current_xact_id pg_current_xact_id_if_assigned pg_database_size
    pg_encoding_to_char pg_get_constraintdef pg_get_expr pg_get_functiondef pg_get_indexdef
    pg_get_keywords pg_get_serial_sequence pg_get_triggerdef pg_get_userbyid pg_get_viewdef
    pg_has_role pg_indexes_size pg_is_in_recovery pg_jit_available pg_last_wal_replay_lsn
    pg_last_xact_replay_timestamp pg_listening_channels pg_my_temp_schema pg_notify
    pg_postmaster_start_time pg_relation_size pg_size_bytes pg_size_pretty pg_sleep pg_sleep_for
    pg_sleep_until pg_table_is_visible pg_table_size pg_tablespace_size pg_total_relation_size
    pg_trigger_depth pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared pg_typeof
    pg_wal_lsn_diff phraseto_tsquery pi plainto_tsquery position pow power querytree quote_ident
    quote_literal quote_nullable radians random random_normal range_agg range_intersect_agg
    range_merge rank regexp_count regexp_instr regexp_like regexp_match regexp_matches
    regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr regr_avgx regr_avgy
    regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy repeat replace reverse
    round row_number row_security_active row_to_json rpad rtrim scale set_bit set_byte set_masklen
    setval setweight sha224 sha256 sha384 sha512 sign sin sind sinh split_part sqrt starts_with
    statement_timestamp stddev stddev_pop stddev_samp string_agg string_to_array string_to_table
    strip strpos substr substring sum tan tand tanh text timeofday to_ascii to_bin to_char to_date
    to_hex to_json to_jsonb to_number to_oct to_regclass to_regnamespace to_regproc
    to_regprocedure to_regrole to_regtype to_timestamp to_tsquery to_tsvector
    transaction_timestamp translate treat trim trim_array trim_scale trunc ts_debug ts_delete
    ts_filter ts_headline ts_lexize ts_parse ts_rank ts_rank_cd tsquery_phrase tsvector_to_array
    txid_current txid_current_if_assigned unicode_assigned unistr unnest upper upper_inc upper_inf
    uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7 var_pop var_samp variance version
    websearch_to_tsquery width_bucket xmlagg xmlattributes xmlcomment xmlconcat xmlelement
    xmlexists xmlforest xmlparse xmlpi xmlroot xmlserialize xpath xpath_exists
"""

WORDS: Final = frozenset(_WORDS.split())
FUNCTIONS: Final = frozenset(_FUNCTIONS.split())
