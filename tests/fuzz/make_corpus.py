#!/usr/bin/env python3
"""Writes the seed corpora: sound files of every kind that a reader accepts, and one file for each way of being bad.

    tests/fuzz/make_corpus.py        # writes tests/fuzz/corpus/TARGET/NAME, beside what fuzzing has found

Needs NumPy. The seeds of journal, population_raw and trajectory_raw were written by lcsc itself and are not made here;
those of population and trajectory are lists of edits (hdf5_edits.h). The files named found-* come from fuzzing and are
not written here.
"""
import gzip
import io
import json
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "corpus"
DATA = Path(__file__).parent.parent / "data"
CONFIGS = Path(__file__).parent.parent.parent / "configs"


def write(target, files):
    folder = FOLDER / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def safetensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def safetensors_files():
    two = {"a": tensor("F32", [2], 0, 8), "b": tensor("BOOL", [3], 8, 11)}
    nan = np.array([np.nan, np.inf], np.float32).tobytes()
    meta = {"config": json.dumps({"model_type": "SongUNet"}), "step": "7"}
    types = ["F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"]
    sizes = [8, 4, 2, 2, 8, 4, 2, 1, 1, 1]
    ends = np.cumsum(sizes).tolist()
    return {
        "sound": safetensors(two, nan + b"\0\1\2"),
        "sound-metadata": safetensors({"__metadata__": meta, "a": tensor("BF16", [], 0, 2)}, b"\0\0"),
        "sound-every-type": safetensors({t: tensor(t, [1], e - s, e) for t, s, e in zip(types, sizes, ends)}, bytes(ends[-1])),
        "sound-empty-tensor": safetensors({"a": tensor("F32", [0, 4], 0, 0)}),
        "sound-no-tensor": safetensors({}),
        "bad-overlap": safetensors({"a": tensor("F32", [2], 0, 8), "b": tensor("F32", [2], 4, 12)}, bytes(12)),
        "bad-hole": safetensors({"a": tensor("U8", [1], 0, 1), "b": tensor("U8", [1], 2, 3)}, bytes(3)),
        "bad-beyond-end": safetensors({"a": tensor("F32", [2], 0, 8)}, bytes(4)),
        "bad-left-over": safetensors({"a": tensor("F32", [1], 0, 4)}, bytes(9)),
        "bad-backwards": safetensors({"a": tensor("F32", [1], 4, 0)}, bytes(4)),
        "bad-offsets-wrap": safetensors({"a": tensor("U8", [1], 2**64 - 1, 0)}, bytes(1)),
        "bad-shape-overflows": safetensors({"a": tensor("F32", [2**32, 2**32, 2**32], 0, 0)}),
        "bad-shape-zero-times-huge": safetensors({"a": tensor("F32", [0, 2**63 - 1, 2**62], 0, 0)}),
        "bad-shape-huge-times-zero": safetensors({"a": tensor("F32", [2**62, 2**62, 0], 0, 0)}),
        "bad-shape-negative": safetensors({"a": tensor("F32", [-1], 0, 4)}, bytes(4)),
        "bad-shape-fraction": safetensors({"a": tensor("F32", [1.5], 0, 4)}, bytes(4)),
        "bad-many-dimensions": safetensors({"a": tensor("U8", [1] * 4000, 0, 1)}, bytes(1)),
        "bad-dtype": safetensors({"a": tensor("F8_E4M3", [1], 0, 1)}, bytes(1)),
        "bad-dtype-number": safetensors({"a": {"dtype": 3, "shape": [1], "data_offsets": [0, 1]}}, bytes(1)),
        "bad-header-huge": safetensors(b"{}", length=2**63),
        "bad-header-100-mb": safetensors(b"{}", length=99_999_999),
        "bad-header-cut": safetensors(b'{"a": {"dtype"'),
        "bad-header-deep": safetensors(b"[" * 5000),
        "bad-header-twice": safetensors(b'{"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}, '
                                        b'"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}'),
        "bad-header-not-utf8": safetensors(b'{"\xff\xfe": 1}'),
        "bad-header-list": safetensors([1, 2]),
        "bad-metadata-number": safetensors({"__metadata__": {"step": 7}}),
        "bad-metadata-list": safetensors({"__metadata__": []}),
        "bad-empty": b"",
        "bad-7-bytes": b"\0" * 7,
    }


def npy(array):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=True)
    return stream.getvalue()


def npy_text(descr, shape, data=b"", version=b"\1\0", fortran="False", padding=0):
    text = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}".encode() + b" " * padding + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H" if version[0] == 1 else "<I", len(text)) + text + data


def archive(members, method=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as target:
        for name, content in members.items():
            target.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()


def claim_size(zipped, size):
    """Overwrites the uncompressed size in the first local header and in the central directory."""
    changed = bytearray(zipped)
    for signature, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        place = zipped.index(signature) + offset
        changed[place:place + 4] = struct.pack("<I", size)
    return bytes(changed)


def npz_files():
    images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    small = npy(np.arange(6, dtype=np.float32).reshape(2, 3))
    bomb = archive({"arr_0.npy": npy(np.zeros((1 << 19,), np.uint8))}, zipfile.ZIP_DEFLATED)
    return {
        "sound": archive({"arr_0.npy": small}),
        "sound-deflated": archive({"arr_0.npy": small}, zipfile.ZIP_DEFLATED),
        "sound-images": archive({"arr_0.npy": npy(images), "arr_1.npy": npy(np.array([3, 1]))}),
        "sound-types": archive({f"{t}.npy": npy(np.ones(2, t)) for t in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "b1")}),
        "sound-text": archive({"lcsc.npy": npy(np.array("protokoll é"))}),
        "sound-scalar-and-empty": archive({"a.npy": npy(np.float64(2)), "b.npy": npy(np.empty((0, 3)))}),
        "bad-object": archive({"arr_0.npy": npy(np.array([{}, None], object))}),
        "bad-fortran": archive({"arr_0.npy": npy(np.asfortranarray(np.ones((2, 3))))}),
        "bad-big-endian": archive({"arr_0.npy": npy(np.ones(2, ">f4"))}),
        "bad-complex": archive({"arr_0.npy": npy(np.ones(2, complex))}),
        "bad-structured": archive({"arr_0.npy": npy(np.zeros(2, [("a", "f4")]))}),
        "bad-text-huge": archive({"arr_0.npy": npy_text("<U99999999999", "()")}),
        "bad-text-not-unicode": archive({"arr_0.npy": npy_text("<U2", "()", b"\xff" * 8)}),
        "bad-shape-huge": archive({"arr_0.npy": npy_text("<f8", "(9223372036854775807, 2)")}),
        "bad-shape-zero-times-huge": archive({"arr_0.npy": npy_text("<f8", "(0, 9223372036854775807, 4611686018427387904)")}),
        "bad-shape-huge-times-zero": archive({"arr_0.npy": npy_text("<f8", "(4611686018427387904, 4611686018427387904, 0)")}),
        "bad-shape-negative": archive({"arr_0.npy": npy_text("<f8", "(-1, 2)")}),
        "bad-shape-beyond-data": archive({"arr_0.npy": npy_text("<f8", "(1000,)", bytes(8))}),
        "bad-data-left-over": archive({"arr_0.npy": npy_text("|u1", "(1,)", bytes(8))}),
        "bad-header-long": archive({"arr_0.npy": npy_text("|u1", "(1,)", b"\0", b"\2\0", padding=20000)}, zipfile.ZIP_DEFLATED),
        "bad-header-claims-4-gb": archive({"arr_0.npy": b"\x93NUMPY\2\0\xff\xff\xff\xff{}"}),
        "bad-header-quotes": archive({"arr_0.npy": npy_text("'" * 500 + "<f8", "(" * 200)}),
        "bad-header-long-spaces": archive({"arr_0.npy": npy_text("<f8", "(" + " " * 9000 + "1,)", bytes(8))}, zipfile.ZIP_DEFLATED),
        "bad-version": archive({"arr_0.npy": npy_text("|u1", "(1,)", b"\0", b"\x09\0")}),
        "bad-no-npy": archive({"readme.txt": b"hello"}),
        "bad-no-magic": archive({"arr_0.npy": b"hello"}),
        "bad-twice": archive({"arr_0.npy": small}) + archive({"arr_0.npy": small}),
        "bad-bomb": bomb,
        "bad-bomb-claims-4-gb": claim_size(bomb, 0xFFFFFFF0),
        "bad-checksum": archive({"arr_0.npy": small}).replace(b"\0\0\x80?", b"\0\0\x80@"),
        "bad-cut": archive({"arr_0.npy": small})[:-30],
        "bad-empty-archive": archive({}),
        "bad-empty": b"",
    }


def png(width, height, rows, depth=8, color=2, interlace=0, extra=()):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    body = b"".join(chunk(kind, content) for kind, content in extra)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png_files():
    rgb = b"".join(b"\0" + bytes(range(12)) for _ in range(3))
    files = {f"sound-{path.stem}": path.read_bytes() for path in DATA.glob("*.png")}
    files |= {
        "sound-rgb": png(4, 3, rgb),
        "sound-gray": png(4, 2, b"\0abcd\1abcd", color=0),
        "sound-gray-1-bit": png(8, 2, b"\0\xaa\0\x55", depth=1, color=0),
        "sound-palette": png(2, 2, b"\0\0\1\0\1\0", color=3, extra=[(b"PLTE", b"\xff\0\0\0\xff\0")]),
        "sound-interlaced": png(1, 1, b"\0abc", interlace=1),
        "bad-palette-missing": png(2, 2, b"\0\0\1\0\1\0", color=3),
        "bad-palette-index": png(2, 2, b"\0\0\7\0\7\0", color=3, extra=[(b"PLTE", b"\xff\0\0")]),
        "bad-side-huge": png(65535, 65535, b"\0"),
        "bad-side-beyond": png(2**31 - 1, 2**31 - 1, b"\0"),
        "bad-bomb": png(65535, 600, bytes(1 << 20), color=0),
        "bad-zero": png(0, 0, b""),
        "bad-filter": png(4, 1, b"\x09" + bytes(12)),
        "bad-few-rows": png(4, 300, rgb),
        "bad-depth": png(1, 1, b"\0abc", depth=7),
        "bad-checksum": png(4, 3, rgb).replace(b"IDAT", b"IDAU"),
        "bad-text-bomb": png(4, 3, rgb, extra=[(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 22)))]),
        "bad-profile": png(4, 3, rgb, extra=[(b"iCCP", b"a\0\0" + zlib.compress(bytes(4000)))]),
        "bad-cut": png(4, 3, rgb)[:-20],
        "bad-empty": b"",
    }
    return files


def image_set_files():
    rows = "0,4,8,16,7\n16,0,0,1,2\r\n\n1,2,3,4,0"
    npz = npz_files()
    images = archive({"arr_0.npy": npy(np.zeros((2, 4, 4, 3), np.uint8)), "arr_1.npy": npy(np.array([1.5, 2]))})
    nan = archive({"arr_0.npy": npy(np.full((1, 2, 2, 3), np.nan, np.float32))})
    csv = {
        "sound": rows.encode(),
        "sound-gz": gzip.compress(rows.encode(), mtime=0),
        "bad-value": b"0,4,8,17,7\n",
        "bad-negative": b"0,-4,8,1,7\n",
        "bad-overflow": b"0,99999999999999999999,8,1,7\n",
        "bad-ragged": b"0,4,8,16,7\n1,2\n",
        "bad-not-square": b"0,4,8,7\n",
        "bad-one-value": b"7\n7\n",
        "bad-text": b"digits,are,here\n",
        "bad-float": b"0.5,1,1,1,1\n",
        "bad-label": b"0,4,8,16,-7\n",
        "bad-nul": b"0,4,\0,16,7\n",
        "bad-empty": b"",
        "bad-newlines": b"\n" * 100,
        "bad-gz-cut": gzip.compress(rows.encode() * 20, mtime=0)[:-12],
        "bad-gz-checksum": gzip.compress(rows.encode(), mtime=0)[:-8] + bytes(8),
        "bad-gz-bomb": gzip.compress(b"\n" * (1 << 22), mtime=0),
    }
    files = {name: b"c" + content for name, content in csv.items()}
    files |= {"npz-" + name: b"n" + npz[name] for name in ("sound", "sound-images", "bad-object", "bad-no-npy", "bad-cut")}
    files |= {"npz-bad-labels": b"n" + images, "npz-bad-nan": b"n" + nan}
    files["npz-bad-no-image"] = b"n" + archive({"arr_0.npy": npy(np.zeros((0, 4, 4, 3), np.uint8))})
    files["npz-bad-no-pixel"] = b"n" + archive({"arr_0.npy": npy(np.zeros((2, 0, 4, 3), np.uint8))})
    files["npz-bad-channels"] = b"n" + archive({"arr_0.npy": npy(np.zeros((2, 2, 4, 7), np.uint8))})
    return files


def reference_files():
    def statistics(mean, covariance, **others):
        return archive({f"{k}.npy": npy(np.asarray(v)) for k, v in dict(mu=mean, sigma=covariance, **others).items()})
    eye = np.eye(3)
    return {
        "sound": statistics(np.zeros(3), eye),
        "sound-provenance": statistics(np.zeros(3), eye, lcsc='{"protocol": "tf1"}'),
        "sound-float32": statistics(np.zeros(3, np.float32), eye.astype(np.float32)),
        "bad-nan": statistics(np.array([0, np.nan, 0]), eye),
        "bad-inf": statistics(np.zeros(3), eye * np.inf),
        "bad-shapes": statistics(np.zeros(3), np.eye(4)),
        "bad-scalar": statistics(0.0, 1.0),
        "bad-empty": statistics(np.zeros(0), np.zeros((0, 0))),
        "bad-integers": statistics(np.zeros(3, int), np.eye(3, dtype=int)),
        "bad-no-sigma": archive({"mu.npy": npy(np.zeros(3))}),
        "bad-provenance": statistics(np.zeros(3), eye, lcsc=3.5),
        "bad-images": npz_files()["sound-images"],
    }


def network_json_files():
    song = {"model_type": "SongUNet", "precond": "EDMPrecond", "img_resolution": 8, "img_channels": 1, "model_channels": 8,
            "channel_mult": [1, 2], "num_blocks": 1, "attn_resolutions": [4]}
    adm = {"model_type": "adm", "image_size": 16, "model_channels": 32, "num_res_blocks": 1, "attention_resolutions": "8",
           "channel_mult": "1,2", "num_classes": 3, "resblock_updown": True, "use_scale_shift_norm": True,
           "num_head_channels": 16}
    improved = {"model_type": "improved_ddpm", "image_size": 16, "model_channels": 32, "num_res_blocks": 1, "out_channels": 6,
                "attention_resolutions": [2], "channel_mult": [1, 2], "beta_schedule": "cosine",
                "num_diffusion_timesteps": 40}
    ddpm = {"model_type": "ddpm", "image_size": 8, "ch": 32, "ch_mult": [1, 2], "num_res_blocks": 1, "attn_resolutions": [4]}
    digits = {"model_type": "DigitsClassifier", "img_resolution": 8, "channels": 4, "feature_dim": 8}
    ncsnpp = song | {"embedding_type": "fourier", "encoder_type": "residual", "resample_filter": [1, 3, 3, 1],
                     "channel_mult_noise": 2, "label_dim": 3, "augment_dim": 9}
    families = {"song": song, "ncsnpp": ncsnpp, "adm": adm, "improved": improved, "ddpm": ddpm,
                "dhariwal": song | {"model_type": "DhariwalUNet", "model_channels": 64},
                "skip": song | {"precond": "ConsistencyPrecond", "encoder_type": "skip", "decoder_type": "skip"}}
    files = {f"sound-{name}": value for name, value in families.items()}
    # Each number of each family at once too large, as large as the reader lets pass, and below its range.
    for family in ("ncsnpp", "adm", "improved", "ddpm"):
        for what, number in (("huge", 10**12), ("most", 2**20), ("zero", 0), ("negative", -1)):
            for key, value in families[family].items():
                if isinstance(value, bool) or not isinstance(value, (int, list)):
                    continue
                files[f"{what}-{family}-{key}"] = {**families[family], key: [number] if isinstance(value, list) else number}
    files |= {
        "bad-many-levels": song | {"channel_mult": [1] * 40, "img_resolution": 2**40},
        "bad-no-level": song | {"channel_mult": []},
        "bad-products": song | {"model_channels": 2**20, "channel_mult": [2**20, 2**20], "channel_mult_emb": 2**20},
        "bad-filter-long": song | {"resample_filter": [1] * 1000},
        "bad-filter-zero": song | {"resample_filter": [1, -1]},
        "bad-filter-empty": song | {"resample_filter": []},
        "bad-filter-odd": song | {"resample_filter": [1, 2, 1]},
        "bad-sigma": song | {"sigma_data": 1e308, "sigma_min": -1, "sigma_max": 1e400},
        "bad-dropout": song | {"dropout": 1e300},
        "bad-type": song | {"num_blocks": "many"},
        "bad-integer": song | {"num_blocks": 2**64 - 1},
        "bad-null": {key: None for key in song},
        "bad-multiplier": adm | {"channel_mult": [1e300, 1e-300]},
        "bad-multiplier-text": adm | {"channel_mult": "1,,2,nan", "attention_resolutions": "inf"},
        "bad-betas": ddpm | {"beta_start": 1e300, "beta_end": 1e-300},
        "bad-unknown-key": song | {"chanel_mult": [1]},
        "bad-unknown-type": {"model_type": "SongUNett"},
        "bad-prefix": song | {"tensor_prefix": "a..b."},
        "bad-no-object": [1, 2, 3],
    }
    encoded = {name: b"d" + json.dumps(value).encode() for name, value in files.items()}
    encoded["bad-deep"] = b"d" + b'{"model_type": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    extractors = {"sound": digits}
    for key in ("img_resolution", "img_channels", "channels", "feature_dim", "num_classes"):
        for what, number in (("huge", 10**12), ("most", 2**20), ("zero", 0)):
            extractors[f"{what}-{key}"] = digits | {key: number}
    return encoded | {"extractor-" + name: b"e" + json.dumps(value).encode() for name, value in extractors.items()}


def config_files():
    return {
        "sound": (CONFIGS / "digits.ini").read_bytes(),
        "sound-lists": b"[evaluation]\nconsistency_sigmas = 1.5, 0.821\n[search]\nema_rates =\n",
        "bad-key": b"[search]\nepoch = 3\n",
        "bad-section": b"[serch]\nepochs = 3\n",
        "bad-no-section": b"epochs = 3\n",
        "bad-number": b"[search]\nepochs = many\n",
        "bad-range": b"[search]\nepochs = -3\nmutation_std = 1e400\n",
        "bad-nan": b"[search]\nmutation_std = nan\n",
        "bad-overflow": b"[search]\nepochs = 99999999999999999999999\n",
        "bad-twice": b"[search]\nepochs = 3\nepochs = 4\n",
        "bad-choice": b"[evaluation]\nsampler = euclid\n",
        "bad-line": b"[search\nepochs\n= 3\n",
        "bad-nul": b"[search]\nepochs = 3\0\n",
        "bad-long-line": b"[search]\nema_rates = " + b"0.9," * 5000 + b"\n",
        "bad-bytes": bytes(range(256)),
        "bad-empty": b"",
    }


def torch_files():
    files = {path.stem.removeprefix("torch_"): path.read_bytes() for path in DATA.glob("torch_*.pt")
             if path.stat().st_size < 20000}
    views = files.get("views", b"")
    if views:
        files["bad-cut"] = views[:-40]
        files["bad-sizes"] = claim_size(views, 0xFFFFFFF0)
    files["bad-empty"] = b""
    files["bad-pickle"] = pickle.dumps({"a": [1, 2.5, "three", None, True]}, 2)
    return files


def pickle_files():
    files = {}
    for path in DATA.glob("torch_*.pt"):
        if not zipfile.is_zipfile(path):
            continue
        with zipfile.ZipFile(path) as opened:
            for name in opened.namelist():
                if name.endswith("data.pkl") and opened.getinfo(name).file_size < 4000:
                    files["program-" + path.stem.removeprefix("torch_")] = opened.read(name)
    plain = {"a": [1, 2.5, "three", None, True, (1, 2), b"four", 10**30, -5, {6, 7}], "b": {"step": 3}}
    for protocol in range(1, 6):
        files[f"plain-protocol-{protocol}"] = pickle.dumps(plain, protocol)
    loop = []
    loop.append(loop)
    files |= {
        "loop": pickle.dumps(loop, 2),
        "bad-system": b"cos\nsystem\n(S'true'\ntR.",
        "bad-memo": b"\x80\x02h\x05.",
        "bad-stack": b"\x80\x02\x85\x86\x87R.",
        "bad-mark": b"\x80\x02tu.",
        "bad-long": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "bad-text-length": b"\x80\x04\x8d" + b"\xff" * 8 + b".",
        "bad-memo-position": b"\x80\x02]r\xff\xff\xff\xff.",
        "bad-deep": b"\x80\x02" + b"]" * 3000 + b"a" * 2999 + b".",
        "bad-growth": b"\x80\x02]q\0" + b"h\0" * 1000 + b"(h\0h\0e" * 500 + b".",
        "bad-no-stop": b"\x80\x02]",
        "bad-empty": b"",
    }
    return files


# The edits of hdf5_edits.h.
DELETE, MOVE, PUT, OVERWRITE, RESHAPE, RETYPE, PUT_ATTRIBUTE, DELETE_ATTRIBUTE, LINK, MAKE_GROUP = range(10)
INTEGER, DOUBLE, UNSIGNED, BYTE, INT32, FLOAT32, UINT16, BIG_ENDIAN, ANY_TEXT, ANY_BYTES, ARRAY, COMPOUND, ENUM, OPAQUE, \
    REFERENCE = range(1, 16)
CONTIGUOUS, COMPACT, CHUNKED, COMPRESSED, ELSEWHERE = range(5)


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return bytes([len(value)]) + value


def named(path):
    return b"\xff" + text(path)


def shape(*dims):
    return bytes([len(dims)]) + b"".join(struct.pack("<H", d if d < 2**15 else 2**15 + d.bit_length() - 1) for d in dims)


def put(path, kind, dims, values, layout=CONTIGUOUS):
    return bytes([PUT]) + named(path) + bytes([kind]) + shape(*dims) + bytes([layout]) + text(values)


def put_texts(path, *texts):
    width = max(map(len, texts), default=1)
    distinct = texts[:1] if len(set(texts)) == 1 else texts  # values are repeated
    values = b"".join(t.encode("latin-1").ljust(width, b"\0") for t in distinct)
    return bytes([PUT]) + named(path) + b"\0" + struct.pack("<H", width) + shape(len(texts)) + b"\0" + text(values)


def put_attribute(name, kind, value, dims=()):
    return bytes([PUT_ATTRIBUTE]) + named("/") + text(name) + bytes([kind]) + shape(*dims) + text(value)


def put_text_attribute(name, value):
    return bytes([PUT_ATTRIBUTE]) + named("/") + text(name) + b"\0" + struct.pack("<H", len(value)) + shape() + text(value)


def overwrite(path, offset, values):
    return bytes([OVERWRITE]) + named(path) + struct.pack("<I", offset) + text(values)


def reshape(path, *dims):
    return bytes([RESHAPE]) + named(path) + shape(*dims)


def retype(path, kind):
    return bytes([RETYPE]) + named(path) + bytes([kind])


def i64(*numbers):
    return struct.pack(f"<{len(numbers)}q", *numbers)


def f64(*numbers):
    return struct.pack(f"<{len(numbers)}d", *numbers)


# For each dataset in turn: gone, of another type, of other shapes, empty, elsewhere, a group in its place.
def each_dataset(prefix, paths):
    files = {}
    for path in paths:
        name = path.replace("/", "-")
        files |= {
            f"gone-{name}": prefix + bytes([DELETE]) + named(path),
            f"type-{name}": prefix + retype(path, DOUBLE) + retype(path, INTEGER),
            f"any-text-{name}": prefix + retype(path, ANY_TEXT),
            f"longer-{name}": prefix + reshape(path, 5),
            f"matrix-{name}": prefix + reshape(path, 5, 2),
            f"none-{name}": prefix + reshape(path, 0),
            f"scalar-{name}": prefix + reshape(path),
            f"null-{name}": prefix + bytes([RESHAPE]) + named(path) + b"\xff",
            f"huge-{name}": prefix + reshape(path, 2**40),
            f"elsewhere-{name}": prefix + put(path, INTEGER, [3], "", ELSEWHERE),
            f"group-{name}": prefix + bytes([DELETE]) + named(path) + bytes([MAKE_GROUP]) + named(path),
            f"loop-{name}": prefix + bytes([LINK]) + named(path) + named(path + "2") + b"\1"
                            + bytes([MOVE]) + named(path + "2") + named(path),
        }
    return files


def population_files():
    columns = ["id", "generation", "parents", "coefficients", "ema_rate", "seen", "score", "failure", "stage_seconds", "order",
               "metric_names", "metric_values", "noise_block", "wants_gradient", "has_gradient", "gradients"]
    files = {"sound-generational": b"\0", "sound-steady": b"\1"}
    steady = {"seen", "order"}
    files |= each_dataset(b"\0", ["candidates/" + c for c in columns if c not in steady] + ["identity_keys", "seconds_utilisation"])
    files |= each_dataset(b"\1", ["candidates/seen", "candidates/order", "in_flight/coefficients", "accused", "accusations"])
    most = i64(2**63 - 1)
    return files | {
        "version-1": b"\0" + put_attribute("version", INTEGER, i64(1)),
        "version-3": b"\0" + put_attribute("version", INTEGER, i64(3)) + reshape("candidates/stage_seconds", 3, 6),
        "bad-version": b"\0" + put_attribute("version", INTEGER, i64(99)),
        "bad-version-type": b"\0" + put_attribute("version", INT32, i64(4)),
        "bad-state": b"\0" + put_text_attribute("state", "asleep"),
        "bad-kind": b"\0" + put_text_attribute("kind", "lcsc trajectory"),
        "bad-attribute-list": b"\0" + put_attribute("journal", INTEGER, i64(1, 2), [2]),
        "bad-attribute-text": b"\0" + put_attribute("state", ANY_TEXT, ""),
        "bad-no-attribute": b"\0" + bytes([DELETE_ATTRIBUTE]) + named("/") + text("planned_evaluations"),
        "bad-score": b"\0" + put("candidates/score", DOUBLE, [3], f64(float("inf"))),
        "bad-has-gradient": b"\0" + put("candidates/has_gradient", INTEGER, [3], i64(1, -1, 7)),
        "bad-no-checkpoints": b"\0" + reshape("candidates/coefficients", 3, 0),
        "bad-no-rows": b"\0" + reshape("candidates/coefficients", 0, 3),
        "bad-numbers": b"\0" + put("candidates/parents", INTEGER, [3, 2], most) + put("candidates/id", INTEGER, [3], most),
        "bad-order": b"\1" + put("candidates/order", INTEGER, [3], most),
        "bad-nan": b"\0" + put("candidates/coefficients", DOUBLE, [3, 3], f64(float("nan"))),
        "bad-compressed": b"\0" + put("candidates/score", DOUBLE, [3], f64(1), COMPRESSED),
        "chunked": b"\0" + put("candidates/score", DOUBLE, [3], f64(1), CHUNKED),
    }


def trajectory_files():
    files = {"sound": b"\0", "sound-lora": b"\1", "sound-shard": b"\2", "sound-lora-shard": b"\3"}
    files |= each_dataset(b"\0", ["network", "checkpoints/steps", "checkpoints/files", "tensors/shapes", "tensors/types",
                                  "carried/bytes", "carried/shapes", "shards/files", "shards/parameters", "shards/checkpoints",
                                  "shards/base_digests", "shards/row_digests"])
    files |= each_dataset(b"\1", ["lora/base", "lora/targets", "lora/shapes", "lora/downs", "lora/alphas", "lora/scales"])
    files |= {"shard-" + name: content for name, content in each_dataset(b"\2", ["base", "deltas"]).items()}
    for path, prefix in (("tensors/shapes", b"\0"), ("carried/shapes", b"\0"), ("lora/shapes", b"\1")):
        for what, value in (("negative", "[-1]"), ("beyond", "[9223372036854775808]"), ("overflow", "[4294967296, 4294967296]"),
                            ("zero", "[0, 9223372036854775807]"), ("text", '["a"]'), ("deep", "[" * 100), ("real", "[1.5]"),
                            ("huge", "[1099511627776]")):
            count = 3 if prefix == b"\1" else 2
            files[f"bad-{path.replace('/', '-')}-{what}"] = prefix + put_texts(path, *[value] * count)
    for what, value in (("negative", i64(-1, 9)), ("swapped", i64(9, 0)), ("beyond", i64(0, 2**62)), ("wrap", i64(-(2**63), 2**63 - 1)),
                        ("empty", i64(0, 0)), ("twice", i64(0, 9))):
        files[f"bad-shards-parameters-{what}"] = b"\0" + put("shards/parameters", INTEGER, [4, 2], value)
        files[f"bad-shards-checkpoints-{what}"] = b"\0" + put("shards/checkpoints", INTEGER, [4, 2], value)
    return files | {
        "bad-name-utf-8": b"\0" + put_texts("tensors/names", "\xff\xfe", "b"),
        "bad-name-twice": b"\0" + put_texts("tensors/names", "a", "a"),
        "bad-file-up": b"\0" + put_texts("shards/files", *["../x.traj/shard-00000.h5"] * 4),
        "bad-file-root": b"\0" + put_texts("shards/files", *["/etc/hostname"] * 4),
        "bad-steps": b"\0" + put("checkpoints/steps", INTEGER, [4], i64(3, 2)),
        "bad-storage": b"\0" + put_text_attribute("storage", "f64"),
        "bad-shard-elements": b"\0" + put_attribute("shard_elements", INTEGER, i64(0)),
        "bad-network-deep": b"\0" + put("network", OPAQUE, [1], "[") + put_texts("network", "[" * 100 + "]" * 100),
        "bad-network": b"\0" + put_texts("network", "{"),
        "bad-version": b"\0" + put_attribute("version", INTEGER, i64(2)),
        "bad-lora-scale": b"\1" + put("lora/scales", DOUBLE, [3], f64(float("nan"))),
        "bad-shard-nan": b"\2" + put("base", FLOAT32, [9], struct.pack("<f", float("nan"))),
        "bad-shard-compressed": b"\2" + put("base", FLOAT32, [9], "abcd", COMPRESSED),
        "bad-no-checkpoints": b"\0" + b"".join(reshape(p, 0) for p in (
            "checkpoints/steps", "checkpoints/files", "checkpoints/digests")),
        "bad-no-shards": b"\0" + b"".join(reshape(p, *d) for p, d in (
            ("shards/files", [0]), ("shards/base_digests", [0]), ("shards/row_digests", [0]), ("shards/parameters", [0, 2]),
            ("shards/checkpoints", [0, 2]))),
    }


def main():
    for target, files in {
            "safetensors": safetensors_files(), "npz": npz_files(), "png": png_files(), "image_set": image_set_files(),
            "reference": reference_files(), "network_json": network_json_files(), "config": config_files(),
            "torch_archive": torch_files(), "pickle": pickle_files(), "population": population_files(),
            "trajectory": trajectory_files()}.items():
        write(target, files)
        total = sum(path.stat().st_size for path in (FOLDER / target).iterdir())
        print(f"{target}: {len(files)} seeds, {total} bytes with what was found")


if __name__ == "__main__":
    main()
