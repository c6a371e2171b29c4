import gc
import threading

import pytest
import torch

from zarts.kernels.allocator import Allocator

LENGTH = 1 << 18  # float32: a megabyte


@pytest.fixture
def buffers():
    return Allocator()


def held(buffers):
    """Bytes that wait and bytes in use; those that just came back still count as in use."""
    return sum(block.nbytes for block in buffers._waiting), buffers._used


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_memory_of_a_tensor_that_is_gone_is_used_again(buffers, dtype):
    first = buffers.empty([4, LENGTH], dtype)
    assert (first.shape, first.dtype, first.is_contiguous()) == ((4, LENGTH), dtype, True)
    assert first.data_ptr() % 64 == 0
    address = first.data_ptr()
    del first
    assert buffers.empty([LENGTH, 4], dtype).data_ptr() == address


def test_two_at_once_do_not_share(buffers):
    ones, twos = (buffers.empty([LENGTH], torch.float32).fill_(number) for number in (1, 2))
    assert ones.eq(1).all()
    assert twos.eq(2).all()


def test_a_view_keeps_the_memory(buffers):
    view = buffers.empty([LENGTH], torch.float32).fill_(1)[:10]
    gc.collect()
    buffers.empty([LENGTH], torch.float32).fill_(2)
    assert view.eq(1).all()


def test_a_graph_keeps_it_until_it_is_freed(buffers):
    x = torch.ones(LENGTH, requires_grad=True)
    factor = buffers.empty([LENGTH], torch.float32).fill_(3)
    address, loss = factor.data_ptr(), (x * factor).sum()
    del factor
    assert buffers.empty([LENGTH], torch.float32).data_ptr() != address
    loss.backward(retain_graph=True)
    loss.backward()
    assert x.grad.eq(6).all()
    again = [buffers.empty([LENGTH], torch.float32) for _ in range(2)]
    assert address in {tensor.data_ptr() for tensor in again}


def test_no_more_is_held_than_half_above_what_was_in_use_at_once(buffers):
    for megabytes in (2, 6, 18, 54):  # none fits the next
        buffers.empty([megabytes * LENGTH], torch.float32)
    buffers.empty([LENGTH], torch.float32)
    assert sum(held(buffers)) <= 1.5 * 54 * 4 * LENGTH


def test_a_block_far_too_large_is_not_taken(buffers):
    buffers.empty([10 * LENGTH], torch.float32)
    small = buffers.empty([LENGTH], torch.float32)
    assert buffers._used == small.nbytes


def test_small_tensors_are_left_to_torch(buffers):
    buffers.empty([100], torch.float32)
    assert held(buffers) == (0, 0)


def test_threads_may_ask_at_once(buffers):
    wrong = []

    def work(number):
        for _ in range(200):
            tensor = buffers.empty([LENGTH // 8], torch.float32).fill_(number)
            if not tensor.eq(number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sum(held(buffers)) <= 4 * 2 * 4 * LENGTH // 8  # a thread has its next before it drops the last
