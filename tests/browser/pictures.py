"""The README's pictures, from those that the tests of the scenes kept: cut to a height, and in 256 colours at most, so that a repository can hold them.

    python -m browser.pictures FROM TO      (script/screenshots does it)
"""

import base64
import pathlib
import struct
import sys
import zlib

from browser.chromium import Chromium

# Name in docs/screenshots, the scene's, its scheme and width, and how much of its height is shown.
PICTURES = [
    ("overview", "overview", "light", 1440, 1160),
    ("overview-dark", "overview", "dark", 1440, 1160),
    ("overview-phone", "overview", "light", 360, 900),
    ("app", "app-moving", "light", 1440, 1000),
    ("release", "release-failed", "light", 1440, 900),
    ("limits", "app-limits-effect", "light", 1440, 1000),
    ("deliveries", "deliveries", "light", 1440, 900),
    ("doctor", "doctor", "dark", 1440, 900),
]
BYTES_MAX = 200 * 1024

# [width, height, palette as RGB, an index for each pixel]: the colours that are seen most, and for each other one the nearest of them.
REDUCE = """
(async (source, height) => {
  const image = await createImageBitmap(await (await fetch("data:image/png;base64," + source)).blob());
  const canvas = new OffscreenCanvas(image.width, Math.min(image.height, height));
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data, seen = new Map();
  for (let i = 0; i < pixels.length; i += 4) {
    const colour = pixels[i] << 16 | pixels[i + 1] << 8 | pixels[i + 2];
    seen.set(colour, (seen.get(colour) || 0) + 1);
  }
  const palette = [...seen].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([colour]) => colour), index = new Map(palette.map((colour, i) => [colour, i]));
  const apart = (a, b) => [16, 8, 0].reduce((sum, shift) => sum + ((a >> shift & 255) - (b >> shift & 255)) ** 2, 0);
  const nearest = (colour) => palette.reduce((best, other, i) => apart(colour, other) < apart(colour, palette[best]) ? i : best, 0);
  const out = new Uint8Array(pixels.length / 4);
  for (let i = 0; i < out.length; i++) {
    const colour = pixels[4 * i] << 16 | pixels[4 * i + 1] << 8 | pixels[4 * i + 2];
    if (!index.has(colour)) index.set(colour, nearest(colour));
    out[i] = index.get(colour);
  }
  const text = await new Promise((done) => { const reader = new FileReader(); reader.onload = () => done(reader.result); reader.readAsDataURL(new Blob([out])); });
  return [canvas.width, canvas.height, palette, text.split(",")[1]];
})
"""


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, palette, indices):
    lines = b"".join(b"\0" + indices[y * width:(y + 1) * width] for y in range(height))
    colours = b"".join(struct.pack(">I", colour)[1:] for colour in palette)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)) + chunk(b"PLTE", colours)
            + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b""))


def main(source, target):
    browser = Chromium()
    try:
        for name, scene, scheme, width, height in PICTURES:
            whole = base64.b64encode((source / f"{scene}-{scheme}-{width}.png").read_bytes()).decode()
            wide, high, palette, indices = browser.evaluate(f"{REDUCE}({whole!r}, {height})")
            made = png(wide, high, palette, base64.b64decode(indices))
            assert len(made) <= BYTES_MAX, f"{name} has {len(made)} bytes"
            (target / f"{name}.png").write_bytes(made)
            print(f"{target / name}.png: {wide} x {high}, {len(made) // 1024} KiB")
    finally:
        browser.end()


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
