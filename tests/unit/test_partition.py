from __future__ import annotations

import random

import pytest

from app.wire.partition import murmur2, murmur2_fallback, partition

# Apache Kafka, clients/src/test/java/org/apache/kafka/common/utils/UtilsTest.java, testMurmur2
JAVA = [
    (b"21", -973932308),
    (b"foobar", -790332482),
    (b"a-little-bit-long-string", -985981536),
    (b"a-little-bit-longer-string", -1486304829),
    (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    (b"abc", 479470107),
]


def signed(word: int) -> int:
    return word - (1 << 32) if word >> 31 else word


@pytest.mark.parametrize(("key", "java"), JAVA)
def test_both_hashes_equal_javas(key: bytes, java: int) -> None:
    assert signed(murmur2(key)) == java
    assert signed(murmur2_fallback(key)) == java


def test_wheel_and_fallback_agree_at_every_length_of_the_tail() -> None:
    draw = random.Random(5)
    for n in range(70):
        for key in (draw.randbytes(n), b"\xff" * n, b"\x00" * n):
            assert murmur2(key) == murmur2_fallback(key)


def test_a_partition_is_the_positive_hash_modulo_the_count() -> None:
    assert partition(b"21", 24) == (-973932308 & 0x7FFFFFFF) % 24
    assert {partition(b"order/o-%d" % i, 4) for i in range(100)} == {0, 1, 2, 3}
