"""Makes pictures/ and pictures.json: small pictures of all kinds, and what Pillow makes of them, for
tests/vision/test_pictures.c and the fuzzers' corpora.

    python make_pictures.py           # needs numpy and pillow; writes beside this file

pictures.json: for each file its size, FNV-1a hashes of convert("RGB") and convert("L"), and, where decoders may differ
by a level (JPEG, lossy WebP), the file that holds Pillow's pixels as PNG. Where our rule is not Pillow's (16 bits of
grey, see docs/guide/pictures.md) the hash is of what our rule gives. "bad" files are damaged; their message must
contain the words that stand with them.
"""
import io
import json
import pathlib
import struct
import zlib

import numpy
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE / "pictures"
RNG = numpy.random.default_rng(7)
table, bad = [], []


def fnv(data, h=0xCBF29CE484222325):
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) % 2**64
    return h


def scene(h, w):
    """Colours that change smoothly, an edge, and noise."""
    y, x = numpy.mgrid[0:h, 0:w]
    image = numpy.stack([128 + 120 * numpy.sin(x / 5), 128 + 120 * numpy.cos(y / 4), (x * 255 / max(w - 1, 1))], -1)
    image[h // 2:, : w // 3] = (200, 30, 90)
    image[: h // 4] += RNG.normal(0, 25, (h // 4, w, 3))
    return numpy.clip(image, 0, 255).astype(numpy.uint8)


def add(name, data, near=False, rgb=None, **more):
    """`rgb`: the pixels wanted, where they are not Pillow's convert("RGB")."""
    (OUT / name).write_bytes(data)
    picture = Image.open(io.BytesIO(data))
    pixels = numpy.asarray(picture.convert("RGB")) if rgb is None else rgb
    grey = numpy.asarray(picture.convert("L")) if rgb is None else numpy.asarray(Image.fromarray(rgb).convert("L"))
    entry = {"file": name, "height": pixels.shape[0], "width": pixels.shape[1], **more}
    if near:
        reference = io.BytesIO()
        Image.fromarray(pixels).save(reference, "PNG", optimize=True)
        (OUT / (name + ".want.png")).write_bytes(reference.getvalue())
        entry["want"] = name + ".want.png"
    else:
        entry |= {"rgb": f"{fnv(pixels.tobytes()):#x}", "grey": f"{fnv(grey.tobytes()):#x}"}
    table.append(entry)


def spoil(name, data, *words):
    (OUT / name).write_bytes(data)
    bad.append({"file": name, "words": list(words)})


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


# ---- PNG by hand: every kind, with Adam7 or not ---------------------------------------------------------------------

ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_rows(samples, depth):
    """samples [h, w, channels] as filtered rows (filter 0)."""
    out = b""
    for row in samples:
        flat = row.reshape(-1)
        if depth == 16:
            out += b"\0" + flat.astype(">u2").tobytes()
        elif depth == 8:
            out += b"\0" + flat.astype(numpy.uint8).tobytes()
        else:
            bits = "".join(format(int(v), f"0{depth}b") for v in flat)
            bits += "0" * (-len(bits) % 8)
            out += b"\0" + bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
    return out


def png(samples, depth, colour, interlaced=False, extra=b"", tail=b""):
    h, w, _ = samples.shape
    rows = b""
    if interlaced:
        for y, x, dy, dx in ADAM7:
            part = samples[y::dy, x::dx]
            if part.size:
                rows += png_rows(part, depth)
    else:
        rows = png_rows(samples, depth)
    head = struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(rows, 9)) + tail +
            chunk(b"IEND", b""))


def make_png():
    kinds = {0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16]}
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
    for colour, depths in kinds.items():
        for depth in depths:
            for interlaced in (False, True):
                h, w = (13, 19) if interlaced else (9, 17)
                samples = RNG.integers(0, 2**depth, (h, w, channels[colour]))
                extra = b""
                if colour == 3:
                    colours = RNG.integers(0, 256, (2**depth, 3), dtype=numpy.uint8)
                    extra = chunk(b"PLTE", colours.tobytes())
                    if interlaced:
                        extra += chunk(b"tRNS", bytes(RNG.integers(0, 256, max(1, 2**depth - 3), dtype=numpy.uint8)))
                rgb = None
                if depth == 16 and colour == 0:
                    rgb = numpy.repeat(samples >> 8, 3, -1).astype(numpy.uint8)
                add(f"png_c{colour}_{depth}{'_adam7' if interlaced else ''}.png", png(samples, depth, colour, interlaced, extra),
                    rgb=rgb)
    grey = RNG.integers(0, 256, (5, 6, 1))
    add("png_grey_transparent.png", png(grey, 8, 0, extra=chunk(b"tRNS", struct.pack(">H", int(grey[0, 0, 0])))))
    colour = RNG.integers(0, 256, (5, 6, 3))
    add("png_rgb_transparent.png", png(colour, 8, 2, extra=chunk(b"tRNS", struct.pack(">HHH", *[int(v) for v in colour[0, 0]]))))
    add("png_gamma.png", png(colour, 8, 2, extra=chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"tEXt", b"Title\0x")))
    for k, filtered in enumerate(["noise", "smooth"]):
        image = Image.fromarray(RNG.integers(0, 256, (20, 31, 3), dtype=numpy.uint8) if k == 0 else scene(33, 40))
        add(f"png_{filtered}.png", saved(image, "PNG"))
    add("png_1x1_rgba.png", saved(Image.new("RGBA", (1, 1), (10, 20, 30, 0)), "PNG"))
    add("png_one_value_40000.png", png(numpy.full((4, 4, 1), 40000), 16, 0), rgb=numpy.full((4, 4, 3), 156, numpy.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    add("png_exif6.png", saved(Image.fromarray(scene(6, 9)), "PNG", exif=exif), orientation=6)
    whole = png(colour, 8, 2)
    spoil("bad_png_cut_half.png", whole[:len(whole) // 2 + 8], "cut short", "PNG")
    spoil("bad_png_no_end.png", whole[:-12], "cut short", "PNG")
    spoil("bad_png_crc.png", whole[:45] + bytes([whole[45] ^ 1]) + whole[46:], "damaged", "PNG")
    spoil("bad_png_huge.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)) +
          chunk(b"IDAT", b"") + chunk(b"IEND", b""), "2147483647 x 2147483647")
    spoil("bad_png_zero.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 4, 8, 2, 0, 0, 0)) + chunk(b"IEND", b""),
          "damaged")
    spoil("bad_png_header.png", b"\x89PNG\r\n\x1a\n", "cut short")
    spoil("bad_png_no_palette.png", png(RNG.integers(0, 4, (5, 6, 1)), 8, 3), "damaged")


# ---- JPEG ----------------------------------------------------------------------------------------------------------

def make_jpeg():
    photo = Image.fromarray(scene(37, 45))
    for subsampling in (0, 1, 2):
        add(f"jpeg_420_{subsampling}.jpg", saved(photo, "JPEG", quality=85, subsampling=subsampling), near=True)
    add("jpeg_progressive.jpg", saved(photo, "JPEG", quality=80, progressive=True), near=True)
    add("jpeg_grey.jpg", saved(photo.convert("L"), "JPEG", quality=90), near=True)
    add("jpeg_cmyk.jpg", saved(photo.convert("CMYK"), "JPEG", quality=90), near=True)
    add("jpeg_low_quality.jpg", saved(photo, "JPEG", quality=10, optimize=True), near=True)
    add("jpeg_1x1.jpg", saved(Image.new("RGB", (1, 1), (200, 10, 60)), "JPEG"), near=True)
    add("jpeg_rgb.jpg", saved(photo, "JPEG", quality=90, keep_rgb=True), near=True)
    add("jpeg_restart.jpg", saved(photo, "JPEG", quality=85, restart_marker_blocks=2), near=True)
    ycck = saved(photo.convert("CMYK"), "JPEG", quality=90)
    at = ycck.index(b"Adobe")
    add("jpeg_ycck.jpg", ycck[:at + 11] + b"\x02" + ycck[at + 12:], near=True)
    add("jpeg_exif_and_comment.jpg", saved(photo, "JPEG", quality=85, comment="by hand", icc_profile=b"x" * 300), near=True)
    halves = numpy.zeros((16, 32, 3), numpy.uint8)
    halves[:, :16, 0] = 255
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        add(f"jpeg_exif{orientation}.jpg", saved(Image.fromarray(halves), "JPEG", quality=95, exif=exif), near=True,
            orientation=orientation)
    whole = saved(photo, "JPEG", quality=85)
    spoil("bad_jpeg_cut_half.jpg", whole[:len(whole) // 2], "cut short", "JPEG")
    spoil("bad_jpeg_no_end.jpg", whole[:-2], "cut short", "JPEG")
    spoil("bad_jpeg_header.jpg", whole[:20], "cut short", "header")
    spoil("bad_jpeg_magic.jpg", whole[:3], "cut short", "header")
    spoil("bad_jpeg_progressive_cut.jpg", saved(photo, "JPEG", progressive=True)[:700], "cut short")
    sof = whole.index(b"\xff\xc0")
    spoil("bad_jpeg_huge.jpg", whole[:sof + 5] + b"\xea\x60\xea\x60" + whole[sof + 9:], "60000 x 60000")
    spoil("bad_jpeg_12_bits.jpg", whole[:sof + 4] + b"\x0c" + whole[sof + 5:], "damaged")
    # without a table the standard one is meant, whatever was read before
    dht = whole.index(b"\xff\xc4")
    size = struct.unpack(">H", whole[dht + 2:dht + 4])[0]
    add("jpeg_no_table.jpg", whole[:dht] + whole[dht + 2 + size:], near=True)
    spoil("bad_jpeg_table.jpg", whole[:dht + 4] + b"\x00" + b"\xff" * 16 + whole[dht + 21:], "damaged")
    dqt = whole.index(b"\xff\xdb")
    size = struct.unpack(">H", whole[dqt + 2:dqt + 4])[0]
    spoil("bad_jpeg_no_quantization.jpg", whole[:dqt] + whole[dqt + 2 + size:], "damaged")


# ---- The others ----------------------------------------------------------------------------------------------------

def make_webp():
    photo = Image.fromarray(scene(30, 41))
    add("webp_lossless.webp", saved(photo, "WEBP", lossless=True))
    add("webp_lossy.webp", saved(photo, "WEBP", quality=80), near=True)
    alpha = photo.convert("RGBA")
    alpha.putalpha(Image.fromarray(RNG.integers(0, 256, (30, 41), dtype=numpy.uint8)))
    add("webp_lossless_alpha.webp", saved(alpha, "WEBP", lossless=True, exact=True))
    add("webp_lossy_alpha.webp", saved(alpha, "WEBP", quality=80, exact=True), near=True)
    exif = Image.Exif()
    exif[0x0112] = 3
    add("webp_exif3.webp", saved(photo, "WEBP", lossless=True, exif=exif), orientation=3)
    frames = [photo, Image.fromarray(255 - scene(30, 41))]
    add("webp_animated.webp", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True))
    whole = saved(photo, "WEBP", lossless=True)
    spoil("bad_webp_cut.webp", whole[:len(whole) // 2], "WebP")
    spoil("bad_webp_header.webp", whole[:18], "cut short")


def bmp(bits, rows, w, h, palette=b"", compression=0, header=40, masks=b"", colours=0):
    size = header
    offset = 14 + size + (len(masks) if header == 40 else 0) + len(palette)
    info = struct.pack("<IiiHHIIiiII", size, w, h, 1, bits, compression, len(rows), 2835, 2835, colours, 0)
    if header == 12:
        info = struct.pack("<IHHHH", size, w, h, 1, bits)
    info += masks if header == 40 else masks + b"\0" * (header - 40 - len(masks)) if header > 40 else b""
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + info + palette + rows


def padded(rows):
    return b"".join(r + b"\0" * (-len(r) % 4) for r in rows)


def make_bmp():
    h, w = 7, 11
    palette = RNG.integers(0, 256, (256, 4), dtype=numpy.uint8)
    palette[:, 3] = 0
    index8 = RNG.integers(0, 256, (h, w), dtype=numpy.uint8)
    add("bmp_8.bmp", bmp(8, padded([r.tobytes() for r in index8]), w, h, palette.tobytes()))
    index4 = RNG.integers(0, 16, (h, w + 1), dtype=numpy.uint8)
    packed4 = [(r[0::2] << 4 | r[1::2]).astype(numpy.uint8).tobytes() for r in index4]
    add("bmp_4.bmp", bmp(4, padded(packed4), w, h, palette[:16].tobytes()))
    bits = RNG.integers(0, 2, (h, w))
    add("bmp_1.bmp", bmp(1, padded([numpy.packbits(r).tobytes() for r in bits]), w, h, palette[:2].tobytes()))
    colour = RNG.integers(0, 256, (h, w, 4), dtype=numpy.uint8)
    rows24 = padded([r[:, :3].tobytes() for r in colour])
    add("bmp_24.bmp", bmp(24, rows24, w, h))
    add("bmp_24_from_top.bmp", bmp(24, rows24, w, -h))
    add("bmp_24_core.bmp", bmp(24, rows24, w, h, header=12))
    add("bmp_8_core.bmp", bmp(8, padded([r.tobytes() for r in index8]), w, h, palette[:, :3].tobytes(), header=12))
    add("bmp_32.bmp", bmp(32, colour.tobytes(), w, h))
    add("bmp_32_masks.bmp", bmp(32, colour.tobytes(), w, h, compression=3, masks=struct.pack("<III", 0xff0000, 0xff00, 0xff)))
    add("bmp_32_alpha.bmp", bmp(32, colour.tobytes(), w, h, compression=3, header=124,
                                masks=struct.pack("<IIII", 0xff0000, 0xff00, 0xff, 0xff000000)))
    words = padded([r.tobytes() for r in RNG.integers(0, 65536, (h, w)).astype("<u2")])
    add("bmp_16_555.bmp", bmp(16, words, w, h))
    add("bmp_16_565.bmp", bmp(16, words, w, h, compression=3, masks=struct.pack("<III", 0xf800, 0x7e0, 0x1f)))
    runs = b"\x05\x07\x00\x06" + bytes([1, 2, 3, 4, 5, 6]) + b"\x00\x00" + b"\x0b\x09\x00\x00" + b"\x00\x02\x03\x01" + b"\x04\x02\x00\x00"
    runs += b"\x00\x05" + bytes([9, 8, 7, 6, 5]) + b"\x00" + b"\x06\x03\x00\x00" + b"\x0b\x04\x00\x00" * 2 + b"\x00\x01"
    add("bmp_rle8.bmp", bmp(8, runs, w, h, palette.tobytes(), compression=1))
    runs = b"\x05\x71\x00\x06" + bytes([0x12, 0x34, 0x56]) + b"\x00" + b"\x00\x00" + b"\x0b\x93\x00\x00" * 6 + b"\x00\x01"
    add("bmp_rle4.bmp", bmp(4, runs, w, h, palette[:16].tobytes(), compression=2))
    spoil("bad_bmp_cut.bmp", bmp(24, rows24, w, h)[:-9], "cut short")
    spoil("bad_bmp_header.bmp", b"BM" + b"\0" * 20, "cut short")
    spoil("bad_bmp_kind.bmp", bmp(24, rows24, w, h, compression=9), "compression 9")
    spoil("bad_bmp_rle_cut.bmp", bmp(8, b"\x00\x09\x01", w, h, palette.tobytes(), compression=1), "cut short")
    spoil("bad_bmp_huge.bmp", bmp(24, rows24, 2**31 - 1, 2**31 - 1), "2147483647 x 2147483647")
    spoil("bad_bmp_minus.bmp", bmp(24, rows24, -3, 5), "-3 x 5")


def make_pnm():
    grey, colour = RNG.integers(0, 256, (6, 9), dtype=numpy.uint8), RNG.integers(0, 256, (6, 9, 3), dtype=numpy.uint8)
    head = lambda kind, most=b"255\n": b"P%d\n# a comment\n9 6\n" % kind + most
    text = lambda a: b"\n".join(b" ".join(b"%d" % v for v in r) for r in a.reshape(6, -1)) + b"\n"
    bits = grey > 127
    add("pnm_p1.pbm", head(1, b"") + b"\n".join(b"".join(b"01"[int(v):int(v) + 1] for v in r) for r in bits) + b"\n")
    add("pnm_p2.pgm", head(2) + text(grey))
    add("pnm_p3.ppm", head(3) + text(colour))
    add("pnm_p4.pbm", head(4, b"") + b"".join(numpy.packbits(r).tobytes() for r in bits))
    add("pnm_p5.pgm", head(5) + grey.tobytes())
    add("pnm_p6.ppm", head(6) + colour.tobytes())
    add("pnm_p5_max100.pgm", head(5, b"100\n") + (grey // 3).tobytes())
    add("pnm_p6_max1000.ppm", head(6, b"1000\n") + (colour.astype(int) * 3).astype(">u2").tobytes())
    wide = RNG.integers(0, 65536, (6, 9))
    rgb = numpy.repeat(numpy.rint(wide / 65535 * 255)[:, :, None], 3, -1).astype(numpy.uint8)
    add("pnm_p5_max65535.pgm", head(5, b"65535\n") + wide.astype(">u2").tobytes(), rgb=rgb)
    spoil("bad_pnm_cut.ppm", head(6) + colour.tobytes()[:-1], "cut short")
    spoil("bad_pnm_text_cut.pgm", head(2) + b"1 2 3", "cut short")
    spoil("bad_pnm_value.pgm", head(2, b"100\n") + text(grey), "maxval 100")
    spoil("bad_pnm_word.pgm", b"P2\nten 6\n255\n", "needs a number")
    spoil("bad_pnm_huge.ppm", b"P6\n99999 99999\n255\n", "99999 x 99999")
    spoil("bad_pnm_maxval.pgm", b"P5\n2 2\n70000\n", "70000")


def main():
    OUT.mkdir(exist_ok=True)
    for path in OUT.iterdir():
        path.unlink()
    make_png()
    make_jpeg()
    make_webp()
    make_bmp()
    make_pnm()
    spoil("bad_empty.jpg", b"", "empty")
    spoil("bad_text.jpg", b"no picture at all\n", "no picture", "'no pictu'")
    spoil("bad_html.png", b"<!DOCTYPE html>", "no picture", "'<!DOCTYP'")
    spoil("bad_gif.gif", saved(Image.fromarray(scene(4, 4)), "GIF"), "GIF", "convert")
    spoil("bad_tiff.tif", saved(Image.fromarray(scene(4, 4)), "TIFF"), "TIFF")
    lines = ",\n".join("  " + json.dumps(entry) for entry in table)
    wrong = ",\n".join("  " + json.dumps(entry) for entry in bad)
    (HERE / "pictures.json").write_text(f'{{"pictures": [\n{lines}],\n"bad": [\n{wrong}]}}\n')


main()
