"""The canonical stream: equal answers have equal bytes, and nothing stands in the slots of NULLs."""

import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from penstock_server.engines.duckdb import canonical
from penstock_server.engines.duckdb.canonical_arrays import canonical_array
from penstock_server.errors import LimitExceeded, QueryError, Reason
from support.sealed import sealed

Make = Callable[[random.Random], Any]


def _text(chance: random.Random) -> str:
    return "".join(chance.choices("aéz\U0001f600\x00", k=chance.randrange(4)))


LEAVES: list[tuple[pa.DataType, Make]] = [
    (pa.int8(), lambda chance: chance.randrange(-128, 128)),
    (pa.int32(), lambda chance: chance.randrange(-(2**31), 2**31)),
    (pa.uint64(), lambda chance: chance.randrange(2**64)),
    (pa.float64(), lambda chance: chance.choice([0.0, -0.0, 1.5, float("inf")])),
    (pa.bool_(), lambda chance: chance.random() < 0.5),
    (pa.string(), _text),
    (pa.binary(), lambda chance: chance.randbytes(chance.randrange(4))),
    (pa.decimal128(38, 2), lambda chance: Decimal(chance.randrange(10**20)).scaleb(-2)),
    (pa.date32(), lambda chance: chance.randrange(20_000)),
    (pa.timestamp("us", "UTC"), lambda chance: chance.randrange(10**15)),
    (pa.month_day_nano_interval(), lambda chance: (chance.randrange(9), chance.randrange(9), chance.randrange(9))),
    (pa.binary(16), lambda chance: chance.randbytes(16)),
]


def _random_type(chance: random.Random, depth: int) -> tuple[pa.DataType, Make]:
    kind = chance.randrange(5) if depth else 0
    if kind == 0:
        return chance.choice(LEAVES)
    inner, make = _random_type(chance, depth - 1)
    other, make_other = _random_type(chance, depth - 1)

    def maybe(chance: random.Random, make: Make) -> Any:
        return None if chance.random() < 0.3 else make(chance)

    match kind:
        case 1:
            return pa.list_(inner), lambda chance: [maybe(chance, make) for _ in range(chance.randrange(4))]
        case 2:
            fields = [pa.field("a", inner), pa.field("b", other)]
            return pa.struct(fields), lambda chance: {"a": maybe(chance, make), "b": maybe(chance, make_other)}
        case 3:
            return pa.list_(inner, 2), lambda chance: [maybe(chance, make), maybe(chance, make)]
        case _:
            return pa.map_(pa.int32(), inner), lambda chance: [
                (number, maybe(chance, make)) for number in range(chance.randrange(3))
            ]


def _noisy(values: list[Any], kind: pa.DataType, make: Make, chance: random.Random) -> pa.Array:
    """Build the array with random values in the slots of its NULLs, as an engine may leave them."""
    filled = pa.array([make(chance) if value is None else value for value in values], kind)
    valid = np.packbits([value is not None for value in values], bitorder="little").tobytes()
    children: list[pa.Array] = []
    buffers = filled.buffers()
    if pa.types.is_struct(kind):
        children = [filled.field(index) for index in range(kind.num_fields)]
    elif pa.types.is_map(kind):
        children = [pa.StructArray.from_arrays([filled.keys, filled.items], fields=[kind.key_field, kind.item_field])]
    elif pa.types.is_nested(kind):
        children = [filled.values]
    own = 2 if pa.types.is_list(kind) or pa.types.is_map(kind) else 1 if children else len(buffers)
    return pa.Array.from_buffers(kind, len(values), [pa.py_buffer(valid), *buffers[1:own]], children=children)


def _bytes(array: pa.Array) -> bytes:
    batch = pa.RecordBatch.from_arrays([array], schema=pa.schema([pa.field("x", array.type)]))
    reader = pa.RecordBatchReader.from_batches(batch.schema, [batch])
    return b"".join(canonical.batches(reader, message_bytes=None))


@pytest.mark.parametrize("seed", range(120))
def test_equal_arrays_have_equal_bytes_however_they_lie_in_memory(seed: int) -> None:
    chance = random.Random(seed)
    kind, make = _random_type(chance, 3)
    values = [None if chance.random() < 0.3 else make(chance) for _ in range(chance.randrange(1, 40))]
    plain = pa.array(values, kind)
    noise = [make(chance) for _ in range(5)]
    forms = [
        plain,
        _noisy(values, kind, make, chance),
        _noisy(values, kind, make, chance),
        pa.concat_arrays([pa.array(noise, kind), _noisy(values, kind, make, chance), pa.array(noise, kind)]).slice(
            len(noise), len(values)
        ),
        pa.array([*noise, *values], kind).slice(len(noise)),
    ]
    first = canonical_array(plain)
    first.validate(full=True)
    assert first.equals(plain)
    for form in forms:
        canonical_array(form).validate(full=True)
        assert _bytes(form) == _bytes(plain), kind


def test_what_stands_under_a_null_does_not_leave() -> None:
    canary = 0x5EC2E7_5EC2E7
    secret = "SECRET-CANARY"
    valid = np.packbits([True, False], bitorder="little").tobytes()
    numbers = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(valid), pa.py_buffer(np.array([1, canary]).tobytes())])
    texts = pa.Array.from_buffers(
        pa.string(),
        2,
        [
            pa.py_buffer(valid),
            pa.py_buffer(np.array([0, 1, 1 + len(secret)], np.int32).tobytes()),
            pa.py_buffer(b"x" + secret.encode()),
        ],
    )
    structs = pa.Array.from_buffers(
        pa.struct([("n", pa.int64()), ("s", pa.string())]),
        2,
        [pa.py_buffer(valid)],
        children=[pa.array([1, canary]), pa.array(["x", secret])],
    )
    lists = pa.Array.from_buffers(
        pa.list_(pa.string()),
        2,
        [pa.py_buffer(valid), pa.py_buffer(np.array([0, 1, 2], np.int32).tobytes())],
        children=[pa.array(["x", secret])],
    )
    arrays = [numbers, texts, structs, lists]
    before = pa.RecordBatch.from_arrays(arrays, names=list("abcd")).serialize().to_pybytes()
    assert secret.encode() in before
    assert canary.to_bytes(8, "little") in before
    for array in arrays:
        after = _bytes(array)
        assert secret.encode() not in after
        assert canary.to_bytes(8, "little") not in after


def test_entries_of_a_dictionary_that_no_row_uses_do_not_leave() -> None:
    array = pa.DictionaryArray.from_arrays(pa.array([0, None, 0], pa.int8()), pa.array(["seen", "SECRET-ENTRY"]))
    nested = pa.StructArray.from_arrays([array], ["k"])
    for given in (array, nested):
        batch = pa.RecordBatch.from_arrays([given], names=["x"])
        assert "dictionary" not in str(canonical.canonical_schema(batch.schema))
        sent = b"".join(canonical.batches(pa.RecordBatchReader.from_batches(batch.schema, [batch]), message_bytes=None))
        assert b"seen" in sent
        assert b"SECRET-ENTRY" not in sent


def test_members_of_a_union_that_a_row_does_not_hold_do_not_leave() -> None:
    union = pa.UnionArray.from_sparse(
        pa.array([0, 1], pa.int8()), [pa.array([1, 0x5EC2E7]), pa.array(["SECRET-MEMBER", "x"])], ["n", "s"]
    )
    sent = _bytes(union)
    assert b"SECRET-MEMBER" not in sent
    assert (0x5EC2E7).to_bytes(8, "little") not in sent
    assert canonical_array(union).to_pylist() == [1, "x"]


def _cut(rows: int, cuts: list[int]) -> Iterator[pa.RecordBatch]:
    whole = pa.record_batch({"i": pa.array(range(rows), pa.int64()), "s": [f"row {number}" for number in range(rows)]})
    for start, end in zip([0, *cuts], [*cuts, rows], strict=True):
        yield whole.slice(start, end - start)


def test_rows_are_cut_by_their_own_number_and_size_not_as_the_engine_cut_them() -> None:
    rows = 150_000
    schema = next(_cut(1, [])).schema
    answers = {
        tuple(canonical.batches(pa.RecordBatchReader.from_batches(schema, _cut(rows, cuts)), message_bytes=2 * 1024**2))
        for cuts in ([], [1], [0, 8192, 8193], list(range(0, rows, 2048)), [122_880], [149_999])
    }
    assert len(answers) == 1
    (messages,) = answers
    read = [pa.ipc.read_record_batch(pa.py_buffer(message), schema) for message in messages]
    assert sum(batch.num_rows for batch in read) == rows
    assert pa.Table.from_batches(read).column("i").to_pylist() == list(range(rows))
    assert all(len(message) <= 2 * 1024**2 for message in messages)


def test_no_message_is_larger_than_two_megabytes_unless_one_row_is() -> None:
    wide = ["x" * 900_000] * 20 + ["y"]
    table = pa.table({"s": wide})
    messages = list(canonical.batches(table.to_reader(), message_bytes=canonical.MESSAGE_BYTES))
    assert max(map(len, messages)) <= canonical.MESSAGE_BYTES
    huge = pa.table({"s": ["x", "x" * (3 * 1024**2)]})
    with pytest.raises(LimitExceeded) as raised:
        list(canonical.batches(huge.to_reader(), message_bytes=canonical.MESSAGE_BYTES))
    assert raised.value.reason is Reason.ROW_LIMIT
    assert raised.value.limit == "row_bytes"
    (small, large) = canonical.batches(huge.to_reader(), message_bytes=None)
    assert len(small) < 1024 < 3 * 1024**2 < len(large)


def test_no_rows_are_no_messages() -> None:
    assert list(canonical.batches(pa.table({"a": pa.array([], pa.int64())}).to_reader(), message_bytes=None)) == []


@pytest.mark.parametrize(
    "expression",
    [
        "case when i % 2 = 0 then i end",
        "case when i % 2 = 0 then 'text ' || i end",
        "nullif(i, i)",
        "case when i % 3 = 0 then [i, null] end",
        "case when i % 3 = 0 then {'a': nullif(i, 6), 'b': 'x'} end",
        "case when i % 3 = 0 then map {i: nullif('x', 'x')} end",
        "case when i % 3 = 0 then [i, null]::bigint[2] end",
        "case when i % 3 = 0 then i % 2 = 0 end",
        "case when i % 3 = 0 then i::decimal(30, 2) end",
        "case when i % 3 = 0 then uuid '00000000-0000-0000-0000-00000000000a' end",
        "case when i % 3 = 0 then interval 1 day end",
        "case when i % 3 = 0 then 'x'::enum('x', 'y') end",
        "null",
    ],
)
def test_answers_of_the_engine_keep_their_values(expression: str) -> None:
    connection = sealed()
    sql = f"select {expression} as x from range(5000) t(i)"
    plain = connection.sql(sql).to_arrow_table()
    reader = connection.sql(sql).to_arrow_reader(canonical.FRAME_ROWS)
    schema = canonical.canonical_schema(reader.schema)
    batches = [
        pa.ipc.read_record_batch(pa.py_buffer(message), schema)
        for message in canonical.batches(reader, message_bytes=None)
    ]
    for batch in batches:
        batch.validate(full=True)
    assert pa.Table.from_batches(batches, schema).to_pylist() == plain.to_pylist()


@pytest.mark.parametrize("number", [2**127 - 1, -(2**127), 10**38, -(10**38), 10**38 + 2**64])
def test_a_hugeint_that_a_decimal_cannot_hold_is_an_error_and_not_another_number(number: int) -> None:
    reader = sealed().sql(f"select '{number}'::hugeint as x union all select null").to_arrow_reader(1000)
    with pytest.raises(QueryError) as raised:
        list(canonical.batches(reader, message_bytes=canonical.MESSAGE_BYTES))
    assert raised.value.reason is Reason.SQL_EXECUTION


@pytest.mark.parametrize("number", [10**38 - 1, -(10**38) + 1, 0, -1, 2**64, -(2**64)])
def test_every_hugeint_of_38_digits_keeps_its_value(number: int) -> None:
    reader = sealed().sql(f"select '{number}'::hugeint as x union all select null").to_arrow_reader(1000)
    schema = canonical.canonical_schema(reader.schema)
    (message,) = canonical.batches(reader, message_bytes=canonical.MESSAGE_BYTES)
    assert pa.ipc.read_record_batch(pa.py_buffer(message), schema).to_pylist() == [{"x": number}, {"x": None}]
