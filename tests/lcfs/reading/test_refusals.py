"""Refusals: what is no checkpoint says so in one sentence, and no file crashes, runs code or takes memory."""

import os
import re
import subprocess
import sys
from pathlib import Path

import corpus
import fuzz
import pytest
import torch
from corpus import DAMAGED, STATE, Refused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lcfs.errors import InputError
from lcfs.reading import leaves, load_state, read_state
from lcfs.runs.checkpoints import load_checkpoint


@pytest.mark.parametrize("case", DAMAGED, ids=lambda case: case.name)
def test_one_sentence(tmp_path: Path, case: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaves, "MOST", 10_000)  # the checks of types in tests are slow
    path = tmp_path / "net.pt"
    case.write(path)
    with pytest.raises(InputError, match=re.escape(case.words)) as refusal:
        load_state(path)
    sentence = str(refusal.value)
    assert "\n" not in sentence
    assert "weights_only" not in sentence


def test_nasty_files_take_no_memory(tmp_path: Path) -> None:
    """In a process of its own with 1.5 GiB more than torch takes, and no core: a signal would end it."""
    for index, case in enumerate(DAMAGED):
        case.write(tmp_path / f"{index}.pt")
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "zero.pt").symlink_to("/dev/zero")
    code = (
        "import resource, sys, torch; from pathlib import Path\n"
        "from lcfs.reading import load_state; from lcfs.errors import InputError\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 1_500_000_000,) * 2)\n"
        "for path in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    try: load_state(path)\n"
        "    except InputError as error: print(path.name, error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(DAMAGED) + 2
    assert "a pipe, a socket or a device" in done.stdout
    assert "more memory than there is" not in done.stdout


class _Attack:
    def __init__(self, function: object, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_is_named_and_not_run(tmp_path: Path, legacy: bool) -> None:
    path, trace = tmp_path / "net.pt", tmp_path / "trace"
    attack = _Attack(os.system, f"touch {trace}")
    torch.save({"state_dict": STATE, "args": attack}, path, _use_new_zipfile_serialization=not legacy)
    state = read_state(path)
    assert state.tensors.keys() == STATE.keys()
    assert state.stubs == ("posix.system",)
    assert not trace.exists()


@pytest.mark.parametrize(
    "pickled",
    [
        b"cos\nsystem\n(S'touch TRACE'\ntR.",
        b"(S'touch TRACE'\nios\nsystem\n.",
        b"(cos\nsystem\nS'touch TRACE'\no.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0btouch TRACE\x85R.",
        b"\x80\x04\x8c\x05torch\x8c\x02os\x8c\x06system\x93\x8c\x0btouch TRACE\x85R\x86.",  # a decoy below
        b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93\x8c\x02os\x8c\x06system\x86R\x8c\x0btouch TRACE\x85R.",
        b'cbuiltins\neval\n(S\'__import__("os").system("touch TRACE")\'\ntR.',
        b'cbuiltins\nexec\n(S\'open("TRACE", "w")\'\ntR.',
        b"ctorch.hub\nload\n(S'x'\ntR.",
        b"ctorch\nload\n(S'TRACE'\ntR.",
        b"ctorch.serialization\nload\n(S'TRACE'\ntR.",
        b"cpickle\nloads\n(S'cos\\nsystem\\n(S\"touch TRACE\"\\ntR.'\ntR.",
        b"c_pickle\nloads\n(S'x'\ntR.",
        b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n.",
        b"\x80\x04\x8c\x0ctorch._utils\x8c\x20_rebuild_tensor_v2.__builtins__\x93.",
        b"c__builtin__\nopen\n(S'TRACE'\nS'w'\ntR.",
        b"csubprocess\nPopen\n((S'touch'\nS'TRACE'\nltR.",
        b'cnumpy.testing._private.utils\nrunstring\n(S\'open("TRACE","w")\'\n}tR.',
        b"cfunctools\npartial\n(cos\nsystem\nS'touch TRACE'\ntR)R.",
        b"ccollections\nOrderedDict\n)R}S'__setstate__'\ncos\nsystem\nsb.",
        b"ccodecs\ndecode\n(S'x'\nS'rot13'\ntR.",
        b"\x80\x02\x82\x01.",  # an extension code
    ],
)
def test_forms_of_attacks_are_inert(tmp_path: Path, pickled: bytes) -> None:
    """As a bare pickle, inside torch's zip, and in its old format."""
    trace = tmp_path / "trace"
    name = str(trace).encode()
    pickled = pickled.replace(b"\x0btouch TRACE", bytes((6 + len(name),)) + b"touch TRACE").replace(b"TRACE", name)
    magic = corpus.pickle.dumps(0x1950A86A20F9469CFC6C, 2) + corpus.pickle.dumps(1001, 2) + corpus.pickle.dumps({}, 2)
    for index, write in enumerate(
        (corpus.content(pickled), corpus.torch_pickle(pickled), corpus.content(magic + pickled + b"]."))
    ):
        path = tmp_path / f"{index}.pt"
        write(path)
        with pytest.raises(InputError) as refusal:
            load_state(path)
        assert "\n" not in str(refusal.value)
    assert not trace.exists()


def test_mutated_files_end_in_tensors_or_a_sentence(tmp_path: Path) -> None:
    """A portion of `make fuzz`; anything but an InputError ends it."""
    read, refused = fuzz.fuzz(150, 0, tmp_path)
    assert read + refused == 150
    assert min(read, refused) > 5


def test_keys_that_are_no_text_are_kept_apart(tmp_path: Path) -> None:
    """A tuple nested 10⁵ times cannot be hashed without exhausting the stack, so it never is."""
    deep = b"\x80\x02}(" + b")" + b"\x85" * 100_000 + b"K\x01u."
    (tmp_path / "net.pt").write_bytes(deep)
    with pytest.raises(InputError, match="no tensors"):
        load_state(tmp_path / "net.pt")


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_state(tmp_path / "missing.pt")
    with pytest.raises(InputError, match="folder"):
        load_checkpoint(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_damage_is_found_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    """Cut anywhere or one byte changed: an InputError, or the tensors that were written."""
    path = tmp_path / "net.pt"
    legacy = data.draw(st.booleans())
    content = bytearray(corpus.torch_bytes(STATE, _use_new_zipfile_serialization=not legacy))
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    sentence, state = "", {}
    try:
        state = load_state(path)
    except InputError as error:
        sentence = str(error)
    assert "\n" not in sentence
    assert sentence or legacy or all(torch.equal(state[name], tensor) for name, tensor in STATE.items())
