#!/usr/bin/env python3
"""Converts pickled modules and checkpoints to .safetensors that lcsc reads.

lcsc reads torch.save'd state dicts itself and executes nothing. A whole pickled module, such as EDM's
network-snapshot-*.pkl, cannot be read without the code that wrote it: this script runs there, with that code on
PYTHONPATH. Unpickling runs whatever the file says: convert only files that you trust.

  PYTHONPATH=~/edm launch/convert_pickle.py --key ema runs/00000/network-snapshot-*.pkl --output ckpt/
  lcsc pack --checkpoints 'ckpt/*.safetensors' --output run.traj

Each file becomes NAME.safetensors. Its __metadata__ gets `step` (from --step, an integer "step" in the file, or the last
number in the file's name) and `config`, the network as JSON: the arguments of EDM's preconditioning class where the
module keeps them, or --network FILE.
"""
import argparse
import collections.abc
import inspect
import io
import json
import math
import os
import pickle
import re
import struct
import sys
import zipfile

import torch

TYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}
# Preconditionings that lcsc knows; their arguments are the network's JSON.
PRECONDS = ["VPPrecond", "VEPrecond", "EDMPrecond", "ConsistencyPrecond", "ECMPrecond"]
# The first bytes of torch.save files before PyTorch 1.6.
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


class ConversionError(Exception):
    """What the user can mend; printed without a stack trace."""


def load_on_cpu(file):
    options = {"map_location": "cpu"}
    if "weights_only" in inspect.signature(torch.load).parameters:
        options["weights_only"] = False
    return torch.load(file, **options)


def load(path):
    torch.storage._load_from_bytes = lambda data: load_on_cpu(io.BytesIO(data))  # tensors of a GPU that is not here
    try:
        with open(path, "rb") as file:
            start = file.read(len(LEGACY_MAGIC))
            file.seek(0)
            if start == LEGACY_MAGIC or zipfile.is_zipfile(path):
                return load_on_cpu(file)
            return pickle.load(file)
    except OSError as error:
        raise ConversionError(f"{path}: cannot read it: {error.strerror}")
    except (ImportError, AttributeError) as error:
        raise ConversionError(f"{path}: its code is missing ({error}); put the folder of the code that wrote it on "
                              "PYTHONPATH (for EDM: the clone with dnnlib and torch_utils)")
    except Exception as error:
        raise ConversionError(f"{path}: cannot unpickle it: {type(error).__name__}: {error}")


def is_state(value):
    """Whether the value is a module or a dict of tensors."""
    if isinstance(value, torch.nn.Module):
        return True
    is_dict = isinstance(value, collections.abc.Mapping)
    return is_dict and any(isinstance(item, torch.Tensor) for item in value.values())


def children(value):
    if isinstance(value, collections.abc.Mapping):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return {str(index): item for index, item in enumerate(value)}
    return {}


def candidates(value, prefix="", depth=0):
    found = []
    for name, item in children(value).items():
        if is_state(item):
            found.append(prefix + name)
        elif depth < 8:
            found += candidates(item, prefix + name + ".", depth + 1)
    return found


def follow(value, key):
    """The value at a dotted key; names may contain dots themselves."""
    if not key:
        return value
    names = children(value)
    for end in [len(key)] + [match.start() for match in re.finditer(r"\.", key)][::-1]:
        if key[:end] in names:
            below = follow(names[key[:end]], key[end + 1:])
            if below is not None:
                return below
    return None


def select(content, key, path):
    state = follow(content, key)
    if is_state(state):
        return state
    where = f'at the key "{key}"' if key else "at the top"
    known = ", ".join(candidates(content)) or "none at any depth"
    raise ConversionError(f"{path}: expected a module or a dict of tensors {where}; choose one with --key: {known}")


def tensors_of(state, strip, path):
    items = state.state_dict() if isinstance(state, torch.nn.Module) else state
    tensors = {}
    for name, tensor in items.items():
        if not isinstance(tensor, torch.Tensor):
            continue
        if not isinstance(name, str):
            raise ConversionError(f"{path}: expected names of tensors as text, found {name!r}")
        if tensor.dtype not in TYPES:
            raise ConversionError(f"{path}: tensor {name}: expected a real or integer type, found {tensor.dtype}")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ConversionError(f"{path}: tensor {name} has NaN or infinite values; leave this file out")
        if strip and not name.startswith(strip):
            raise ConversionError(f'{path}: tensor {name}: expected a name that begins with "{strip}"')
        tensors[name[len(strip):]] = tensor.detach().cpu().contiguous()
    return tensors


def plain(value):
    """The value as JSON has it; raises TypeError for others."""
    if isinstance(value, collections.abc.Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(type(value).__name__)


def config_of(state):
    """The network's JSON from the arguments that EDM's persistent classes keep, or None."""
    name = type(state).__name__
    kwargs = getattr(state, "init_kwargs", getattr(state, "_init_kwargs", None))
    if name not in PRECONDS or not isinstance(kwargs, collections.abc.Mapping):
        return None
    config = {"precond": name}
    args = list(getattr(state, "init_args", getattr(state, "_init_args", [])) or [])
    if args:
        # The persistent class wraps the user's own, whose constructor names the arguments.
        own = next(c for c in type(state).__mro__ if c.__name__ == name and "args" not in signature_names(c))
        config.update(zip(signature_names(own), args))
    config.update(kwargs)
    try:
        config = plain(config)
    except TypeError as error:
        raise ConversionError(f"the module's arguments hold a {error}, which JSON has not; give --network FILE")
    return {key: value for key, value in config.items()
            if value is not None and not (isinstance(value, float) and not math.isfinite(value))}


def signature_names(cls):
    return list(inspect.signature(cls.__init__).parameters)[1:]


def step_of(content, path, given):
    if given is not None:
        return given
    inside = children(content).get("step")
    if isinstance(inside, int) and not isinstance(inside, bool):
        return inside
    numbers = re.findall(r"\d+", os.path.splitext(os.path.basename(path))[0])
    if not numbers:
        raise ConversionError(f"{path}: expected the training step in the file or in its name, found none; give --step")
    return int(numbers[-1])


def bytes_of(tensor):
    if tensor.dtype == torch.bfloat16:  # NumPy has no such type
        tensor = tensor.view(torch.int16)
    return tensor.numpy().tobytes()


def write_safetensors(path, tensors, metadata):
    """8 bytes of header length, the header as JSON, the tensors' bytes; the file appears whole or not at all."""
    header, offset = {"__metadata__": metadata}, 0
    for name in sorted(tensors):
        size = tensors[name].numel() * tensors[name].element_size()
        header[name] = {"dtype": TYPES[tensors[name].dtype], "shape": list(tensors[name].shape),
                        "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    temporary = f"{path}.tmp-{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for name in sorted(tensors):
                file.write(bytes_of(tensors[name]))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise ConversionError(f"{path}: cannot write it: {error.strerror}")
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def read_network(path):
    try:
        with open(path, encoding="utf-8") as file:
            network = json.load(file)
    except (OSError, ValueError) as error:
        raise ConversionError(f"--network: cannot read {path} as JSON: {error}")
    if not isinstance(network, dict):
        raise ConversionError(f"--network: {path}: expected a JSON object")
    return network


def target_of(path, options):
    stem = os.path.splitext(os.path.basename(path))[0]
    return os.path.join(options.output or os.path.dirname(path), stem + ".safetensors")


def convert(path, target, options, network):
    content = load(path)
    state = select(content, options.key, path)
    tensors = tensors_of(state, options.strip, path)
    if not tensors:
        raise ConversionError(f"{path}: the module has no tensors")
    config = network or config_of(state)
    metadata = {"step": str(step_of(content, path, options.step))}
    if config:
        metadata["config"] = json.dumps(config)
    write_safetensors(target, tensors, metadata)
    known = "with its network" if config else "without a network: give it to lcsc with --network FILE"
    print(f"{path} -> {target}: step {metadata['step']}, {len(tensors)} tensors, {known}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="pickles or torch.save files")
    parser.add_argument("--key", default="", help="the module or dict of tensors inside: ema, state.ema, 4")
    parser.add_argument("--output", help="folder of the .safetensors files (default: beside each file)")
    parser.add_argument("--network", help="file with the network's JSON (default: from the module's own arguments)")
    parser.add_argument("--step", type=int, help="training step, for one file")
    parser.add_argument("--strip", default="", metavar="PREFIX", help="remove this from every name, e.g. 'module.'")
    options = parser.parse_args()
    if options.step is not None and len(options.files) > 1:
        parser.error(f"--step: expected one file, found {len(options.files)}")
    try:
        network = read_network(options.network) if options.network else None
        if options.output:
            os.makedirs(options.output, exist_ok=True)
        targets = set()
        for path in options.files:
            target = target_of(path, options)
            if target in targets:
                raise ConversionError(f"{path}: {target} was written from another file; convert it into another folder")
            targets.add(target)
            convert(path, target, options, network)
    except ConversionError as error:
        print(f"convert_pickle: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
