"""Small files as microscopes write them, made by hand from the formats' descriptions, for tests."""

import struct
from io import BytesIO
from itertools import product

import numpy as np
import tifffile


def write_czi(path, values, sizes_um, names=None, scenes=1, places=((0, 0),)):
    """Write (scene,) T, C, Z, Y, X values; ``places`` are the corners of the tiles of a plane."""
    from pylibCZIrw import czi

    with czi.create_czi(str(path)) as file:
        for scene, image in enumerate(values if scenes > 1 else [values]):
            for t, c, z in np.ndindex(image.shape[:3]):
                for x, y in places:
                    at = (x + 1000 * scene, y)
                    file.write(image[t, c, z][..., None], plane={"T": t, "C": c, "Z": z}, scene=scene, location=at)
        z, y, x = (side * 1e-6 for side in sizes_um)
        file.write_metadata("test", channel_names=names, scale_x=x, scale_y=y, scale_z=z)


_DIM = (
    '<DimensionDescription DimID="{}" NumberOfElements="{}" Origin="0" Length="{}" Unit="{}" BitInc="0" BytesInc="{}"/>'
)
_CHANNEL = (
    '<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" NameOfMeasuredQuantity="" Min="0" Max="65535" Unit="" '
    'LUTName="Green" IsLUTInverted="0" BytesInc="{}" BitInc="0"><ChannelProperty><Key>DyeName</Key><Value>{}</Value>'
    "</ChannelProperty></ChannelDescription>"
)


def write_lif(path, images, sizes_um, names, emission_nm, interval, unit="m", order="TCZYX", outer=4):
    """Write a LIF file of several images (T, C, Z, Y, X) of uint16, by their names.

    ``order`` is that of the axes in the file: the colours of each pixel lie together if C is last. ``outer`` is Leica's
    number of the first axis: 4 is time, 10 the tiles of a mosaic.
    """
    images = {
        name: np.ascontiguousarray(image.transpose(["TCZYX".index(one) for one in order]))
        for name, image in images.items()
    }
    elements = "".join(
        _element(k, *item, sizes_um, names, emission_nm, interval, unit, order, outer)
        for k, item in enumerate(images.items())
    )
    tree = f'<Element Name="test"><Children>{elements}</Children></Element>'
    text = f'<LMSDataContainerHeader Version="2">{tree}</LMSDataContainerHeader>'
    with open(path, "wb") as file:
        file.write(struct.pack("<IIBI", 0x70, 2 * len(text) + 5, 0x2A, len(text)) + text.encode("utf-16-le"))
        for k, image in enumerate(images.values()):
            name = f"MemBlock_{k}"
            head = struct.pack("<IIBQBI", 0x70, 14 + 2 * len(name), 0x2A, image.nbytes, 0x2A, len(name))
            file.write(head + name.encode("utf-16-le") + image.astype("<u2").tobytes())


def _element(k, name, image, sizes_um, names, emission_nm, interval, unit, order, outer):
    steps = dict(zip("ZYX", (side * 1e-6 for side in sizes_um), strict=True)) | {"T": interval}
    number = {"X": 1, "Y": 2, "Z": 3, "T": outer}
    bytes_of = dict(zip(order, image.strides, strict=True))
    counts = dict(zip(order, image.shape, strict=True))
    axes = "".join(
        _DIM.format(
            number[axis], counts[axis], steps[axis] * (counts[axis] - 1), "s" if axis == "T" else unit, bytes_of[axis]
        )
        for axis in "XYZT"
    )
    channels = "".join(_CHANNEL.format(c * bytes_of["C"], one) for c, one in enumerate(names))
    infos = "".join(f'<WideFieldChannelInfo EmissionWavelength="{one}"/>' for one in emission_nm)
    camera = f"<WideFieldChannelConfigurator>{infos}</WideFieldChannelConfigurator>"
    camera = f"<ATLCameraSettingDefinition>{camera}</ATLCameraSettingDefinition>"
    return (
        f'<Element Name="{name}"><Data><Image><ImageDescription><Channels>{channels}</Channels>'
        f"<Dimensions>{axes}</Dimensions></ImageDescription>"
        f'<Attachment Name="HardwareSetting">{camera}</Attachment></Image></Data>'
        f'<Memory Size="{image.nbytes}" MemoryBlockID="MemBlock_{k}"/></Element>'
    )


def write_oif(path, values, sizes_um, names, emission_nm, interval, **more):
    """Write an OIF and its folder of TIFF files from (T, C, Z, Y, X) values of uint16; ``more`` are sizes of other axes."""
    settings = _settings(values, sizes_um, names, emission_nm, interval, **more)
    path.write_bytes(b"\xff\xfe" + settings.encode("utf-16-le"))
    folder = path.with_name(path.name + ".files")
    folder.mkdir()
    for t, c, z in np.ndindex(values.shape[:3]):
        tifffile.imwrite(
            folder / f"s_C{c + 1:03d}Z{z + 1:03d}T{t + 1:03d}.tif", values[t, c, z], photometric="minisblack"
        )


def _settings(values, sizes_um, names, emission_nm, interval, **more):
    counts = dict(zip("TCZYX", values.shape, strict=True)) | more
    sections = {
        "ProfileSaveInfo": {"Name": '"test"', "Version": '"1"'},
        "Axis Parameter Common": {"AxisOrder": '"XYCZT"'},
    }
    steps = {"Z": (1000 * sizes_um[0], '"nm"'), "T": (1000 * interval, '"ms"')}
    for k, axis in enumerate("XYCZTALP"):
        step, unit = steps.get(axis, (0, '""'))
        sections[f"Axis {k} Parameters Common"] = {
            "AxisCode": f'"{axis}"', "MaxSize": counts.get(axis, 0), "Interval": step, "PixUnit": unit,
        }  # fmt: skip
    sections["Reference Image Parameter"] = {
        "HeightConvertValue": sizes_um[1], "HeightUnit": '"um"', "WidthConvertValue": sizes_um[2], "WidthUnit": '"um"',
        "ValidBitCounts": 12,
    }  # fmt: skip
    for k, (name, emission) in enumerate(zip(names, emission_nm, strict=True)):
        sections[f"Channel {k + 1} Parameters"] = {
            "DyeName": f'"{name}"',
            "EmissionWavelength": emission,
            "ExcitationWavelength": 488,
        }
    return "".join(
        f"[{section}]\r\n" + "".join(f"{key}={value}\r\n" for key, value in entries.items())
        for section, entries in sections.items()
    )


_SECTOR, _SMALL = 512, 4096
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def write_oib(path, values, sizes_um, names, emission_nm, interval):
    """Write an OIB, an OLE compound file (MS-CFB, version 3), from (T, C, Z, Y, X) values of uint16."""
    streams = {"Stream00000": _text(_settings(values, sizes_um, names, emission_nm, interval))}
    info = "[OibSaveInfo]\r\nName=test\r\nVersion=1\r\nMainFileName=Stream00000\r\nStream00000=test.oif\r\n"
    for k, (t, c, z) in enumerate(np.ndindex(values.shape[:3]), 1):
        streams[f"Stream{k:05d}"] = _tiff(values[t, c, z]).ljust(_SMALL, b"\0")
        info += f"Stream{k:05d}=s_C{c + 1:03d}Z{z + 1:03d}T{t + 1:03d}.tif\r\n"
    streams["OibInfo.txt"] = _text(info)
    path.write_bytes(_compound(streams))


def _text(text):
    """Return settings, filled up with one more entry."""
    return b"\xff\xfe" + f"{text}Filling={'0' * (_SMALL // 2)}\r\n".encode("utf-16-le")


def _tiff(plane):
    """Return a TIFF file in memory."""
    file = BytesIO()
    tifffile.imwrite(file, plane, photometric="minisblack")
    return file.getvalue()


def _compound(streams):
    """Return a compound file of streams in its root, each of at least 4096 bytes, so that none is a small one."""
    fat, body, entries = [], b"", []

    def add(content):
        start, n = len(fat), max(1, -(-len(content) // _SECTOR))
        fat.extend([*range(start + 1, start + n), _END])
        return start, content.ljust(n * _SECTOR, b"\0")

    for name, content in streams.items():
        start, padded = add(content)
        body += padded
        entries.append((name, 2, start, len(content)))
    tree = [("Root Entry", 5, _END, 0, 1, _FREE)]
    tree += [(*entry, _FREE, k + 2 if k + 1 < len(entries) else _FREE) for k, entry in enumerate(entries)]
    directory = b"".join(_entry(*one) for one in tree)
    first, padded = add(directory)
    body += padded
    n_fat = -(-(len(fat) + 2) // 128)
    fat_at = [len(fat) + k for k in range(n_fat)]
    table = struct.pack(f"<{n_fat * 128}I", *(fat + [_FAT] * n_fat + [_FREE] * (n_fat * 128 - len(fat) - n_fat)))
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    head += struct.pack("<IIIIIIIII", 0, n_fat, first, 0, 4096, _END, 0, _END, 0)
    return head + struct.pack("<109I", *(fat_at + [_FREE] * (109 - n_fat))) + body + table


def _entry(name, kind, start, size, child, right):
    text = (name + "\0").encode("utf-16-le")
    sides = struct.pack("<III", _FREE, _FREE if kind == 5 else right, child if kind == 5 else _FREE)
    return (
        text.ljust(64, b"\0")
        + struct.pack("<HBB", len(text), kind, 1)
        + sides
        + bytes(36)
        + struct.pack("<IQ", start, size)
    )


def write_nd2(path, values, sizes_um, names, emission_nm, interval, positions=(), packed=None):
    """Write an ND2 file (version 3) from ((position,) T, C, Z, Y, X) values of uint16; channels alternate within a frame.

    One name for three channels makes them colours.
    ``packed`` is a function of the bytes of each frame, whose result is stored as lossless compression.
    """
    images = values if positions else values[None]
    frames = [
        (images[p, t, :, z].transpose(1, 2, 0)).astype("<u2").tobytes()
        for t, p, z in product(*map(range, (images.shape[1], images.shape[0], images.shape[3])))
    ]
    places, data = {}, b""

    def chunk(name, content, at=4096):
        return struct.pack("<IIQ", 0x0ABECEDA, at - 24, len(content)) + name.encode().ljust(at - 24, b"\0") + content

    data += struct.pack("<IIQ32s64s", 0x0ABECEDA, 32, 64, b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0")
    named = {f"ImageDataSeq|{k}!": bytes(8) + (packed or bytes)(frame) for k, frame in enumerate(frames)}
    named |= {
        key: _variant(value)
        for key, value in _nd2_said(
            images, sizes_um, names, emission_nm, interval, positions, 0 if packed else 2
        ).items()
    }
    for name, content in named.items():
        places[name] = (len(data), len(content))
        data += chunk(name, content)
    listed = b"".join(name.encode() + struct.pack("<QQ", *place) for name, place in places.items())
    end = b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", len(data))
    path.write_bytes(data + chunk("ND2 FILEMAP SIGNATURE NAME 0001!", listed + end, 64))


def _nd2_said(images, sizes_um, names, emission_nm, interval, positions, compression):
    n_positions, n_frames, n_channels, depth, height, width = images.shape
    attributes = {
        "uiWidth": width, "uiWidthBytes": 2 * width * n_channels, "uiHeight": height, "uiComp": n_channels,
        "uiBpcInMemory": 16, "uiBpcSignificant": 16, "uiSequenceCount": n_positions * n_frames * depth,
        "eCompression": compression,
    }  # fmt: skip
    planes = {
        f"a{k}": {
            "sDescription": name, "uiCompCount": n_channels // len(names), "uiSampleIndex": k,
            "pFluorescentProbe": {
                key: {"uiCount": 1, "pPoint": {"Point0": {"eType": 1, "dWavelength": float(length), "dTValue": 1.0}}}
                for key, length in (("m_EmissionSpectrum", emission), ("m_ExcitationSpectrum", 488))
            },
        }
        for k, (name, emission) in enumerate(zip(names, emission_nm, strict=True))
    }  # fmt: skip
    picture = {
        "bCalibrated": bool(sizes_um[2]),
        "dCalibration": float(sizes_um[2]),
        "sPicturePlanes": {"uiCount": len(names), "sPlaneNew": planes},
    }
    loops = [
        (
            4,
            {
                "uiCount": depth,
                "dZStep": float(sizes_um[0]),
                "dZLow": 0.0,
                "dZHigh": float(sizes_um[0] * (depth - 1)),
                "iType": 0,
                "bAbsolute": False,
            },
        )
    ]
    if positions:
        points = {
            f"a{k}": {"dPosX": 0.0, "dPosY": 0.0, "dPosZ": 0.0, "dPosName": name} for k, name in enumerate(positions)
        }
        loops.insert(0, (2, {"uiCount": n_positions, "Points": points}))
    loops.insert(0, (1, {"uiCount": n_frames, "dPeriod": 1000.0 * interval, "dDuration": 0.0, "dStart": 0.0}))
    experiment = {}
    for kind, told in reversed(loops):
        experiment = {"eType": kind, "uLoopPars": told, **({"ppNextLevelEx": {"a0": experiment}} if experiment else {})}
    return {
        "ImageAttributesLV!": {"SLxImageAttributes": attributes},
        "ImageMetadataSeqLV|0!": {"SLxPictureMetadata": picture},
        "ImageMetadataLV!": {"SLxExperiment": experiment},
    }


def _variant(value):
    """Return settings as the XML of ND2."""
    return f"<variant>{_nodes(value)}</variant>".encode()


def _nodes(value):
    kinds = {bool: "bool", int: "lx_int32", float: "double", str: "CLxStringW"}
    return "".join(
        f"<{key}>{_nodes(one)}</{key}>"
        if isinstance(one, dict)
        else f'<{key} runtype="{kinds[type(one)]}" value="{str(one).lower() if isinstance(one, bool) else one}"/>'
        for key, one in value.items()
    )
