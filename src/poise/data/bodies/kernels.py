"""Loops over vertices, triangles and pixels, compiled by numba (`machine.compiled`); without it they are Python's, and slow."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Whole = NDArray[np.int32]


def skin(rest: Floats, transforms: Floats, bones: Whole, weights: Floats, out: Floats) -> None:
    """Linear blend skinning.

    Args:
        rest: Vertices of the rest pose (v 3).
        transforms: Transform of each bone (b 3 4).
        bones: Bones that move each vertex (v w).
        weights: Their weights (v w), which add up to 1.
        out: Posed vertices (v 3), written.
    """
    for v in range(rest.shape[0]):
        x, y, z = rest[v, 0], rest[v, 1], rest[v, 2]
        for row in range(3):
            total = np.float32(0.0)
            for k in range(bones.shape[1]):
                w = weights[v, k]
                if w > 0:
                    t = transforms[bones[v, k], row]
                    total += w * (t[0] * x + t[1] * y + t[2] * z + t[3])
            out[v, row] = total


def normals(vertices: Floats, faces: Whole, out: Floats) -> None:
    """Normals of vertices, of length 1, from the triangles around them by area.

    Args:
        vertices: Vertices (v 3).
        faces: Triangles (f 3), indices of vertices.
        out: Normals (v 3), written.
    """
    out[:] = 0
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        wx, wy, wz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx
        for k in range(3):
            v = faces[f, k]
            out[v, 0] += nx
            out[v, 1] += ny
            out[v, 2] += nz
    for v in range(out.shape[0]):
        length = math.sqrt(out[v, 0] ** 2 + out[v, 1] ** 2 + out[v, 2] ** 2) + 1e-12
        for k in range(3):
            out[v, k] /= length


def rasterise(
    seen: Floats, faces: Whole, first: int, solid: int, near: float, depth: Floats, owner: Whole, shares: Floats
) -> None:
    """Draw triangles into a z-buffer.

    Args:
        seen: Vertices in the image (v 3): x and y in pixels, and depth.
        faces: Triangles (f 3), indices of vertices.
        first: Number that the first triangle gets in `owner`.
        solid: Number of triangles, the first ones, that are left out where they are seen from behind.
        near: Triangles with a vertex nearer than this are left out.
        depth: Depth of each pixel (H W), changed where a triangle is nearer.
        owner: Number of the triangle in each pixel (H W), changed likewise.
        shares: Share of the first and the second vertex in each pixel (H W 2), changed likewise.
    """
    height, width = depth.shape
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        za, zb, zc = seen[a, 2], seen[b, 2], seen[c, 2]
        if za < near or zb < near or zc < near:
            continue
        xa, ya, xb, yb, xc, yc = seen[a, 0], seen[a, 1], seen[b, 0], seen[b, 1], seen[c, 0], seen[c, 1]
        area = (xb - xa) * (yc - ya) - (yb - ya) * (xc - xa)
        if area == 0 or (area > 0 and f < solid):
            continue
        x0, x1 = max(math.ceil(min(xa, xb, xc)), 0), min(math.floor(max(xa, xb, xc)), width - 1)
        y0, y1 = max(math.ceil(min(ya, yb, yc)), 0), min(math.floor(max(ya, yb, yc)), height - 1)
        ra, rb, rc = 1 / za, 1 / zb, 1 / zc
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                wa = ((xb - x) * (yc - y) - (yb - y) * (xc - x)) / area
                wb = ((xc - x) * (ya - y) - (yc - y) * (xa - x)) / area
                wc = 1 - wa - wb
                if wa < 0 or wb < 0 or wc < 0:
                    continue
                inverse = wa * ra + wb * rb + wc * rc
                z = 1 / inverse
                if z < depth[y, x]:
                    depth[y, x] = z
                    owner[y, x] = first + f
                    shares[y, x, 0] = wa * ra * z
                    shares[y, x, 1] = wb * rb * z


def shade(
    owner: Whole,
    shares: Floats,
    faces: Whole,
    material: Whole,
    rest: Floats,
    directions: Floats,
    tiles: Floats,
    density: Floats,
    rough: Floats,
    noise: Floats,
    forward: Floats,
    light: Floats,
    image: Floats,
) -> None:
    """Colour each pixel of the z-buffer: texture, folds, and light after Lambert with ambient light.

    Args:
        owner: Triangle of each pixel (H W), -1 for none.
        shares: Share of its first two vertices (H W 2).
        faces: Triangles (f 3).
        material: Material of each triangle (f).
        rest: Where each vertex is in the rest pose (v 3), by which textures are laid on.
        directions: Normals of vertices (v 3).
        tiles: Texture of each material (m s s 3), 0 to 255.
        density: Pixels of the texture per metre (m).
        rough: How much folds change the normal (m).
        noise: Smooth noise in a cube that repeats (n n n), -1 to 1.
        forward: Where the camera looks (3); surfaces that are seen from behind are lit on that side.
        light: Rows of (x, y, z, strength): the light's direction and strength, the sky's direction and strength, and the
            strength of the light from everywhere in the last place (3 4).
        image: RGB (H W 3), changed where there is a triangle.
    """
    side, cells = tiles.shape[1], noise.shape[0]
    for y in range(owner.shape[0]):
        for x in range(owner.shape[1]):
            f = owner[y, x]
            if f < 0:
                continue
            wa, wb = shares[y, x, 0], shares[y, x, 1]
            wc = 1 - wa - wb
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            px = wa * rest[a, 0] + wb * rest[b, 0] + wc * rest[c, 0]
            py = wa * rest[a, 1] + wb * rest[b, 1] + wc * rest[c, 1]
            pz = wa * rest[a, 2] + wb * rest[b, 2] + wc * rest[c, 2]
            nx = wa * directions[a, 0] + wb * directions[b, 0] + wc * directions[c, 0]
            ny = wa * directions[a, 1] + wb * directions[b, 1] + wc * directions[c, 1]
            nz = wa * directions[a, 2] + wb * directions[b, 2] + wc * directions[c, 2]
            m = material[f]
            if nx * forward[0] + ny * forward[1] + nz * forward[2] > 0.25:
                nx, ny, nz = -nx, -ny, -nz
            # Folds: three components of the noise tilt the normal, smoothly at a coarse scale, and at a fine one.
            r = rough[m]
            if r >= 0.06:
                gx, gy, gz = px * 22.0, py * 22.0, pz * 13.0
                ix, iy, iz = math.floor(gx), math.floor(gy), math.floor(gz)
                ux, uy, uz = gx - ix, gy - iy, gz - iz
                for corner in range(8):
                    dx, dy, dz = corner & 1, (corner >> 1) & 1, corner >> 2
                    w = (ux if dx else 1 - ux) * (uy if dy else 1 - uy) * (uz if dz else 1 - uz) * r
                    cx, cy, cz = (ix + dx) % cells, (iy + dy) % cells, (iz + dz) % cells
                    nx += w * noise[cx, cy, cz]
                    ny += w * noise[cy, cz, cx]
                    nz += w * noise[cz, cx, cy]
                fx, fy, fz = math.floor(px * 90.0) % cells, math.floor(py * 90.0) % cells, math.floor(pz * 60.0) % cells
                nx += 0.4 * r * noise[fx, fy, fz]
                ny += 0.4 * r * noise[fy, fz, fx]
                nz += 0.4 * r * noise[fz, fx, fy]
            length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            direct = (nx * light[0, 0] + ny * light[0, 1] + nz * light[0, 2]) / length
            sky = 0.5 + 0.5 * (nx * light[1, 0] + ny * light[1, 1] + nz * light[1, 2]) / length
            bright = light[2, 3] + light[0, 3] * max(direct, 0.0) + light[1, 3] * sky
            row = math.floor(pz * density[m]) % side
            column = math.floor((px + 0.7 * py) * density[m]) % side
            for k in range(3):
                image[y, x, k] = tiles[m, row, column, k] * bright
