"""Addresses: what is made quickly here is what the standard library makes."""

from __future__ import annotations

import ipaddress
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8snetlib.linux.addresses import ends, ip_address, network_around, with_length

PAIRS = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.integers(0, 32)),
    st.tuples(st.ip_addresses(v=6), st.integers(0, 128)),
)


@given(PAIRS)
def test_an_address_with_a_length_is_the_interface_of_the_standard_library(pair):
    address, length = pair
    made, standard = with_length(address, length), ipaddress.ip_interface(f"{address}/{length}")
    assert made == standard and hash(made) == hash(standard) and type(made) is type(standard) and repr(made) == repr(standard)
    for name in ("ip", "network", "netmask", "hostmask", "with_prefixlen", "with_netmask", "with_hostmask", "is_link_local", "packed"):
        assert getattr(made, name) == getattr(standard, name), name
    assert pickle.loads(pickle.dumps(made)) == standard and {standard: 1}[made] == 1
    assert network_around(address, length) == standard.network
    assert ends(standard.network) == (int(standard.network[0]), int(standard.network[-1]))


@pytest.mark.parametrize("function", [with_length, network_around])
@pytest.mark.parametrize(("text", "length"), [("10.0.0.1", -1), ("10.0.0.1", 33), ("fd00::1", -1), ("fd00::1", 129)])
def test_a_length_that_there_is_not(function, text, length):
    with pytest.raises(ValueError, match=str(length)):
        function(ip_address(text), length)


@given(st.one_of(st.ip_addresses().map(str), st.text(max_size=12), st.integers(0, 2**128 - 1)))
def test_reading_an_address_fails_in_the_words_of_the_standard_library(given):
    said = []
    for read in (ip_address, ipaddress.ip_address):
        try:
            said.append(read(given))
        except ValueError as error:
            said.append(str(error))
    assert said[0] == said[1]


@pytest.mark.parametrize("text", ["10.0.0.01", "10.0.0", "fd00::g", "1:2", "::ffff:10.0.0.1", "fe80::1%eth0", "10.0.0.1/24", ":"])
def test_odd_spellings(text):
    test_reading_an_address_fails_in_the_words_of_the_standard_library.hypothesis.inner_test(text)
