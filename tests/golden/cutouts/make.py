# Small pictures in the forms in which cutouts come, and what Pillow 13.0 (with libjpeg-turbo) and NumPy 2
# make of them. Run in this folder:  python3 make.py
import numpy as np
from PIL import Image

N = 24
y, x = np.mgrid[0:N, 0:N] - (N - 1) / 2
disc = np.exp(-np.hypot(x + y, 2 * (x - y)) / 9)  # inclined: none of its eight turns is another
spot = np.exp(-((x - 5) ** 2 + (y + 7) ** 2) / 4)
noise = np.random.default_rng(1).normal(0, 4, (N, N, 3))
light = 200 * disc[..., None] * [0.8, 0.6, 0.4] + 150 * spot[..., None] * [0.3, 0.4, 0.9]
picture = np.clip(12 + noise + light, 0, 255).astype(np.uint8)
image = Image.fromarray(picture)

image.save("colour.jpg", quality=92, subsampling=2)  # what surveys serve
image.save("full.jpg", quality=92, subsampling=0)
image.save("progressive.jpg", quality=92, subsampling=2, progressive=True)
image.convert("L").save("grey.jpg", quality=92)
black = 255 - picture.max(2, keepdims=True)
inks = np.concatenate([255 - np.minimum(255, picture * 255.0 / np.maximum(255 - black, 1)), black], 2)
Image.fromarray(inks.astype(np.uint8), "CMYK").save("cmyk.jpg", quality=92)  # as from a printer's hands
image.save("colour.png")
image.convert("RGBA").save("alpha.png")
image.crop((0, 0, 20, 16)).save("oblong.jpg", quality=92)
for name in "colour.jpg", "full.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg", "colour.png", "alpha.png":
    np.save(name.replace(".", "_") + ".npy", np.asarray(Image.open(name).convert("RGB")))
for size in 16, 40:
    np.save(f"resized_{size}.npy", np.asarray(image.resize((size, size), Image.BILINEAR)))

# The symmetries as NumPy has them: turn k is np.rot90 by k & 3, of np.fliplr of it where k & 4.
corner = picture[:6, :6]
np.save("turns.npy", np.stack([np.rot90(np.fliplr(corner) if k & 4 else corner, k & 3) for k in range(8)]))
