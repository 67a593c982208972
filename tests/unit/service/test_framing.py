import pytest
from penstock.v1 import query_service_pb2
from penstock_server.service.framing import record_batch_message


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
def test_a_batch_framed_by_hand_is_what_the_generated_class_writes(size: int) -> None:
    batch = bytes(range(256)) * (size // 256 + 1)
    batch = batch[:size]
    message = record_batch_message(batch)
    assert query_service_pb2.ExecuteQueryResponse.FromString(message).record_batch == batch
    assert query_service_pb2.ExecuteQueryResponse.FromString(message).WhichOneof("part") == "record_batch"
    if size:
        assert message == query_service_pb2.ExecuteQueryResponse(record_batch=batch).SerializeToString()
