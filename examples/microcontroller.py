"""A network for a microcontroller: limits of RAM, flash and multiply-adds, a file in 8 bits, and a C array of it.

pip install 'zarts[export,litert]'
python examples/microcontroller.py
"""

from importlib.util import find_spec
from pathlib import Path

import zarts


def as_c_array(file: Path, name: str) -> str:
    """What `xxd -i` prints: the file as an array that is linked into a firmware."""
    data = file.read_bytes()
    rows = [", ".join(f"0x{byte:02x}" for byte in data[i : i + 12]) for i in range(0, len(data), 12)]
    body = ",\n  ".join(rows)
    return f"alignas(16) const unsigned char {name}[] = {{\n  {body}}};\nconst unsigned int {name}_len = {len(data)};\n"


if __name__ == "__main__":
    has_litert = find_spec("litert_torch") is not None
    result = zarts.fit(
        "digits",
        time="75s" if has_litert else "40s",
        max_ram="16KiB",  # of activations; the runtime's own memory comes on top
        max_flash="32KiB",  # of weights
        max_macs="1M",
        int8=True,
        tflite=has_litert,
        search=False,  # hand-made networks only: in a minute there is no time for more
        out="runs/microcontroller",
    )
    print(result)
    file = Path(result.run) / "model" / ("model.int8.tflite" if has_litert else "model.int8.onnx")
    if not has_litert:
        print("no .tflite: pip install 'zarts[litert]', in an environment of its own")
    header = Path("model_data.h")
    header.write_text(as_c_array(file, "model_data"))
    print(f"{file}: {file.stat().st_size:,} bytes; as a C array in {header}")
