# cython: language_level=3, wraparound=False, initializedcheck=False
"""The schema of an Arrow stream -> where the columns of our fields lie in its batches. Twin of engine/arrow.py."""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy, memset

from engine.fast._arrow_flat cimport Flat, Node, Vector, child_of, number_of, place, target_table, vector_of
from engine.fast._scan_key cimport (
    F_BEAM, F_DIR, F_NONE, F_ON, F_RECORD_TS, F_SENSOR, F_SPEED, F_TS, F_TYPE, F_X, F_Y, KEY_BYTES, TOUCHES,
    field_at,
)

# What a column gives.
cdef enum:
    UNNAMED = 0  # there is none
    NUMBERS = 1
    TIMES = 2
    TEXT = 3
    WORDS = 4    # text in a dictionary
    REALS = 5    # doubles, or floats
    BITS = 6     # true and false
    NOTHING = 7
    WRONG = 8

# Arrow's types, as far as they are told apart.
cdef enum:
    T_NULL = 1
    T_INT = 2
    T_FLOAT = 3
    T_UTF8 = 5
    T_BOOL = 6
    T_TIMESTAMP = 10
    T_UNION = 14
    T_LARGE_UTF8 = 20
    T_RUN_ENDS = 22
    T_BINARY_VIEW = 23
    T_UTF8_VIEW = 24
    TYPES = 27

cdef enum:
    V4 = 3
    V5 = 4
    DEPTH_MAX = 64  # of columns within columns

cdef extern from *:
    """
    /* by type, without what unions and views have besides */
    static const unsigned char HITO_BUFFERS[] =
        {0, 0, 2, 2, 3, 3, 2, 2, 2, 2, 2, 2, 2, 1, 1, 2, 1, 2, 2, 3, 3, 2, 0, 2, 2, 3, 3};
    _Static_assert(sizeof HITO_BUFFERS == 27, "one per type");
    """
    const unsigned char* BUFFERS "HITO_BUFFERS"

cdef struct Layout:
    int64_t nodes
    int64_t buffers
    int64_t views   # columns with buffers that the batch counts
    int64_t seen    # columns on the whole

cdef struct Column:
    int form
    int width           # bytes of a number, an index, or (TEXT) an offset of the text
    int unit            # of TIMES: s, ms, µs, ns
    int text_width      # WORDS: bytes of an offset of the dictionary's text
    bint is_signed
    bint has_validity
    int64_t dictionary  # id
    int64_t node
    int64_t buffer
    int64_t views       # before it


cdef inline int text_width(int64_t type_) noexcept nogil:
    return 4 if type_ == T_UTF8 else 8


cdef inline int field_of(const Flat* flat, const Vector* name) noexcept nogil:
    """The field that a column's name is; F_NONE where it is none."""
    cdef uint8_t quoted[KEY_BYTES + 1]
    cdef int length
    cdef int field
    if name.count > KEY_BYTES:
        return F_NONE
    memcpy(quoted, flat.data + name.at, name.count)
    quoted[name.count] = c'"'  # a quote inside would end the key early: the length tells
    field = field_at(quoted, quoted + name.count + 1, &length)
    return field if field != F_NONE and length == name.count else F_NONE


cdef inline bint takes(int field, int form) noexcept nogil:
    """Whether a field takes what a column gives."""
    if field == F_TS or field == F_RECORD_TS:
        return form == NUMBERS or form == TIMES or form == TEXT or form == WORDS
    if TOUCHES or field == F_SENSOR or field == F_TYPE or field == F_DIR or field == F_BEAM:
        return form == TEXT or form == WORDS
    if field == F_X or field == F_Y or field == F_SPEED:
        return form == NUMBERS or form == REALS
    return form == (BITS if field == F_ON else NUMBERS)


cdef inline bint integer_type(const Flat* flat, const Node* type_, Column* column) noexcept nogil:
    cdef int64_t bits
    cdef int64_t is_signed
    if not number_of(flat, type_, 0, 4, &bits) or not number_of(flat, type_, 1, 1, &is_signed):
        return False
    column.width = <int> (bits >> 3)
    column.is_signed = is_signed != 0
    return bits == 8 or bits == 16 or bits == 32 or bits == 64


cdef inline bint real_type(const Flat* flat, const Node* type_, Column* column) noexcept nogil:
    cdef int64_t precision
    if not number_of(flat, type_, 0, 2, &precision) or precision > 2:
        return False
    column.width = <int> (2 << precision)
    column.form = WRONG if precision == 0 else REALS  # doubles and floats, not halves of these
    return True


cdef inline bint timestamp_type(const Flat* flat, const Node* type_, Column* column) noexcept nogil:
    cdef int64_t unit
    cdef Vector zone
    if not number_of(flat, type_, 0, 2, &unit) or unit > 3 or not vector_of(flat, type_, 1, 1, &zone):
        return False
    column.unit = <int> unit
    column.width = 8
    column.is_signed = True
    column.form = TIMES if zone.count else WRONG
    return True


cdef inline bint read_column(
    const Flat* flat, const Node* field, int name, const Layout* start, Column* column
) noexcept nogil:
    """A column that the field ``name`` has; False where the stream is unreadable."""
    cdef int64_t type_
    cdef Node encoding
    cdef Node type_table
    cdef bint typed
    if not number_of(flat, field, 2, 1, &type_):
        return False
    memset(column, 0, sizeof(Column))
    column.form = WRONG
    column.has_validity = not (type_ == T_NULL or type_ == T_UNION or type_ == T_RUN_ENDS)
    column.node, column.buffer, column.views = start.nodes, start.buffers, start.views
    if place(flat, field, 4):
        column.has_validity = True  # of the indices
        column.width, column.is_signed = 4, True
        if not child_of(flat, field, 4, &encoding) or not number_of(flat, &encoding, 0, 8, &column.dictionary):
            return False
        if place(flat, &encoding, 1):
            if not child_of(flat, &encoding, 1, &type_table) or not integer_type(flat, &type_table, column):
                return False
        if type_ == T_UTF8 or type_ == T_LARGE_UTF8:
            column.form = WORDS
            column.text_width = text_width(type_)
    elif type_ == T_NULL:
        column.form = NOTHING
        return True
    elif type_ == T_UTF8 or type_ == T_LARGE_UTF8:
        column.form = TEXT
        column.width = text_width(type_)
    elif type_ == T_BOOL:
        column.form = BITS
    elif type_ == T_INT or type_ == T_TIMESTAMP or type_ == T_FLOAT:
        typed = child_of(flat, field, 3, &type_table)
        if type_ == T_INT:
            column.form = NUMBERS
            if not typed or not integer_type(flat, &type_table, column):
                return False
        elif type_ == T_FLOAT:
            if not typed or not real_type(flat, &type_table, column):
                return False
        elif not typed or not timestamp_type(flat, &type_table, column):
            return False
    if not takes(name, column.form):
        column.form = WRONG
    return True


cdef inline bint step_behind(const Flat* flat, const Node* field, int64_t version, int depth, Layout* layout) noexcept nogil:
    """Move the layout behind a column and those within it; False where the stream is unreadable."""
    cdef int64_t type_
    cdef int64_t mode
    cdef int64_t i
    cdef Node inner
    cdef Vector children
    layout.seen += 1
    # offsets may lead to one table twice: without a bound a few of them would make a walk without end
    if depth > DEPTH_MAX or layout.seen > flat.size:
        return False
    if not number_of(flat, field, 2, 1, &type_) or not T_NULL <= type_ < TYPES:
        return False
    layout.nodes += 1
    if place(flat, field, 4):  # indices; what is within lies in the dictionary
        layout.buffers += 2
        return child_of(flat, field, 4, &inner)
    layout.buffers += BUFFERS[type_]
    if type_ == T_UNION:
        if not child_of(flat, field, 3, &inner) or not number_of(flat, &inner, 0, 2, &mode):
            return False
        layout.buffers += (mode != 0) + (version < V5)  # dense ones have offsets; before V5 they had validity
    layout.views += type_ == T_BINARY_VIEW or type_ == T_UTF8_VIEW
    if not vector_of(flat, field, 5, 4, &children):
        return False
    for i in range(children.count):
        if not target_table(flat, children.at + 4 * i, &inner):
            return False
        if not step_behind(flat, &inner, version, depth + 1, layout):
            return False
    return True


cdef inline bint read_schema(const Flat* flat, const Node* schema, int64_t version, Column* columns) noexcept nogil:
    """The columns by field (F_NONE of them); False where the stream is unreadable."""
    cdef Layout layout = Layout(0, 0, 0, 0)
    cdef Vector fields
    cdef Vector text
    cdef Node field
    cdef int64_t is_big
    cdef int64_t i
    cdef int name
    memset(columns, 0, F_NONE * sizeof(Column))
    if not number_of(flat, schema, 0, 2, &is_big) or is_big or not vector_of(flat, schema, 1, 4, &fields):
        return False
    for i in range(fields.count):
        if not target_table(flat, fields.at + 4 * i, &field) or not vector_of(flat, &field, 0, 1, &text):
            return False
        name = field_of(flat, &text)
        if name != F_NONE and not read_column(flat, &field, name, &layout, &columns[name]):
            return False
        if not step_behind(flat, &field, version, 1, &layout):
            return False
    return True
