"""Slow, obvious twins of everything fast: plain NumPy in float64, one formula a line."""

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.spatial.transform

WEIGHTS = np.array([1, 1, 1, 2, 2, 2])[:, None, None, None]
PAIRS = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]


def ahead(x, axis):
    """Periodic forward difference."""
    return np.roll(x, -1, axis) - x


def behind(q, axis):
    """Its adjoint."""
    return np.roll(q, 1, axis) - q


def hessian(x):
    """Six distinct second forward differences: zz, yy, xx, zy, zx, yx."""
    return np.stack([ahead(ahead(x, i), j) for i, j in PAIRS])


def hessian_adjoint(q):
    """Adjoint where the mixed components count twice."""
    return sum(w * behind(behind(c, i), j) for c, w, (i, j) in zip(q, WEIGHTS.ravel(), PAIRS, strict=True))


def differences(x):
    """The three forward differences z, y, x."""
    return np.stack([ahead(x, axis) for axis in range(3)])


def differences_adjoint(q):
    """Their adjoint."""
    return sum(behind(c, axis) for axis, c in enumerate(q))


def lengths(q):
    """Sum over voxels of the length of (3, nz, ny, nx) vectors."""
    return np.sqrt((q**2).sum(axis=0)).sum()


def matrices(q):
    """Symmetric 3x3 matrices (..., 3, 3) from six components (6, ...)."""
    full = np.empty(q.shape[1:] + (3, 3))
    for component, (i, j) in zip(q, PAIRS, strict=True):
        full[..., i, j] = full[..., j, i] = component
    return full


def on_spectrum(q, function):
    """Apply a function to the eigenvalues of every matrix."""
    values, vectors = np.linalg.eigh(matrices(q))
    full = np.einsum("...ij,...j,...kj->...ik", vectors, function(values), vectors)
    return np.stack([full[..., i, j] for i, j in PAIRS])


def nuclear_norm(q):
    """Sum over voxels of the sum of absolute eigenvalues."""
    return np.abs(np.linalg.eigvalsh(matrices(q))).sum()


def symbol(shape):
    """|D^|^2 of the Hessian on the half spectrum."""
    grids = np.meshgrid(*(2 * np.pi * np.arange(n) / n for n in shape), indexing="ij")
    full = sum(2 - 2 * np.cos(w) for w in grids) ** 2
    return full[..., : shape[2] // 2 + 1]


def admm(gram, rhs, shape, lam, mu, mu2, relaxation, iterations, x0=None, changes=None):
    """ADMM as design and paper state it: u and d stored, eigh, scipy.fft. Returns (x, u2).

    ``changes`` maps iterations to the penalty parameters that hold from then on.
    """
    return _admm(gram, rhs, shape, lam, mu, mu2, relaxation, iterations, x0, changes or {})[:2]


def residuals(gram, rhs, shape, lam, mu, mu2, relaxation, iterations):
    """What is left of the optimality conditions: primal ones over their larger part, the dual over what it could be."""
    x, u2, u, d, d2 = _admm(gram, rhs, shape, lam, mu, mu2, relaxation, iterations, None, {})
    norm, slope = np.linalg.norm, data_slope(x, gram, rhs, lam)
    gap, dx, size = (np.sqrt((WEIGHTS * q**2).sum()) for q in (hessian(x) - u, hessian(x), u))
    dual = slope + mu * hessian_adjoint(d) + mu2 * d2
    largest = np.hypot(12 * mu * np.sqrt((WEIGHTS * d**2).sum()), mu2 * norm(d2))  # 12 is the norm of the Hessian
    return max(gap / max(dx, size), norm(x - u2) / max(norm(x), norm(u2))), norm(dual) / largest


def _admm(gram, rhs, shape, lam, mu, mu2, relaxation, iterations, x0, changes):
    start = np.zeros(shape) if x0 is None else x0
    u2, d2 = np.maximum(start, 0), np.zeros(shape)
    d = on_spectrum(hessian(u2), lambda s: np.clip(s, -1 / mu, 1 / mu))
    u = hessian(u2) - d
    for k in range(1, iterations + 1):
        residue = mu * hessian_adjoint(u - d) + mu2 * (u2 - d2)
        denominator = mu * symbol(shape) + mu2 + lam * gram
        x = scipy.fft.irfftn((scipy.fft.rfftn(residue) + lam * rhs) / denominator, shape)
        v = relaxation * hessian(x) + (1 - relaxation) * u + d
        u = on_spectrum(v, lambda s, bound=1 / mu: np.sign(s) * np.maximum(np.abs(s) - bound, 0))
        d = v - u
        v2 = relaxation * x + (1 - relaxation) * u2 + d2
        u2 = np.maximum(v2, 0)
        d2 = v2 - u2
        now, now2 = changes.get(k, (mu, mu2))
        d, d2, mu, mu2 = d * (mu / now), d2 * (mu2 / now2), now, now2  # the multipliers stay as they are
    return x, u2, u, d, d2


def half_sum(values, shape):
    """Sum over the whole spectrum of a real quantity known on its half."""
    columns = np.arange(shape[2] // 2 + 1)
    alone = (columns == 0) | (2 * columns == shape[2])
    return float((np.where(alone, 1, 2) * values).sum())


def objective(x, gram, rhs, energy, lam):
    """(lam / 2) (c - 2 <b, x> + <x, S x>) plus the nuclear norm of the Hessian."""
    spectrum = scipy.fft.rfftn(x)
    quadratic = half_sum(gram * np.abs(spectrum) ** 2 - 2 * (rhs.conj() * spectrum).real, x.shape) / x.size
    return lam / 2 * (energy + quadratic) + nuclear_norm(hessian(x))


def data_slope(x, gram, rhs, lam):
    """The gradient of the data term."""
    return lam * scipy.fft.irfftn(gram * scipy.fft.rfftn(x) - rhs, x.shape)


def primal_dual(gram, rhs, shape, lam, iterations, relaxation=1.8):
    """Condat's and Vu's method: no splitting of the data term, no linear system. Returns x >= 0 and the dual p.

    L. Condat, "A primal-dual splitting method for convex optimization involving Lipschitzian, proximable and linear
    composite terms", Journal of Optimization Theory and Applications 158, 2013, algorithm 3.1.
    """
    return primal_dual_of(lambda x: data_slope(x, gram, rhs, lam), lam * gram.max(), shape, iterations, relaxation)


def primal_dual_of(slope, smoothness, shape, iterations, relaxation=1.8):
    """The same for any data term, given its gradient and the largest of its curvatures."""
    norm = symbol(shape).max()
    sigma = smoothness / np.sqrt(norm)
    tau = 0.99 / (smoothness / 2 + sigma * norm)
    x, p = np.zeros(shape), np.zeros((6, *shape))
    for _ in range(iterations):
        ahead_x = np.maximum(x - tau * (slope(x) + hessian_adjoint(p)), 0)
        ahead_p = on_spectrum(p + sigma * hessian(2 * ahead_x - x), lambda s: np.clip(s, -1, 1))
        x, p = x + relaxation * (ahead_x - x), p + relaxation * (ahead_p - p)
    return ahead_x, ahead_p


def lower_bound(x, p, gram, rhs, energy, lam):
    """No volume >= 0 has an objective below this, whatever p with eigenvalues in [-1, 1] (Fenchel); x only steers it."""
    q = np.maximum(data_slope(x, gram, rhs, lam) + hessian_adjoint(p), 0)
    slope = lam * rhs + scipy.fft.rfftn(q - hessian_adjoint(p))
    return lam / 2 * energy - half_sum(np.abs(slope) ** 2 / gram, x.shape) / x.size / (2 * lam)


def lopsided_psf(shape):
    """A smooth PSF, longer along z, that no reflection leaves as it is; centred at size // 2, of sum 1."""
    z, y, x = np.meshgrid(*(np.arange(n) - n // 2 for n in shape), indexing="ij")
    psf = np.exp(-((z / 2.2) ** 2 + (y / 1.3) ** 2 + (x / 1.3) ** 2) / 2) * (
        1 + 0.3 * np.tanh(0.7 * z + 0.4 * y - 0.5 * x)
    )
    return psf / psf.sum()


def transfer(psf, psf_voxel, rotation, shape, voxel):
    """Half spectrum of the PSF h(R q): h^(f) = sum over its voxels of h exp(-2 pi i (R f) q), and 0 beyond its Nyquist.

    Zero too at the grid's own Nyquist frequencies, which have no sign.
    """
    integers = np.stack(np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in shape), indexing="ij"))
    integers = integers[..., : shape[2] // 2 + 1]
    sizes, steps = np.reshape(shape, (3, 1, 1, 1)), np.reshape(voxel, (3, 1, 1, 1))
    f = np.einsum("ij,j...->i...", rotation, integers / (sizes * steps))
    waves = [
        np.exp(-2j * np.pi * f[d].ravel()[:, None] * (np.arange(n) - n // 2) * psf_voxel[d])
        for d, n in enumerate(psf.shape)
    ]
    h = waves[2] @ psf.reshape(-1, psf.shape[2]).T
    h = (h.reshape(-1, *psf.shape[:2]) * waves[1][:, None, :]).sum(axis=2)
    h = (h * waves[0]).sum(axis=1).reshape(f.shape[1:])
    beyond = (np.abs(f) * np.reshape(psf_voxel, (3, 1, 1, 1)) > 0.5).any(axis=0)
    return np.where(beyond | (2 * np.abs(integers) == sizes).any(axis=0), 0, h)


def problem(shape, seed=0, n=4, noise=0.02, least=0.0):
    """Sums of n Gaussian-blurred views of a few blobs, as (gram, rhs, energy); gram is ``least`` or more."""
    rng = np.random.default_rng(seed)
    points = np.stack(np.meshgrid(*(np.arange(m) for m in shape), indexing="ij"), axis=-1)
    blobs = rng.uniform(0, 1, (6, 3)) * shape
    x = sum(np.exp(-((points - c) ** 2).sum(axis=-1) / 2) for c in blobs)
    f = np.stack(np.meshgrid(*(np.fft.fftfreq(m) for m in shape), indexing="ij"))[..., : shape[2] // 2 + 1]
    gram = np.full(f.shape[1:], float(least))
    rhs = least * scipy.fft.rfftn(x)
    energy = least * (x**2).sum()
    for rotation in np.linalg.qr(rng.standard_normal((n, 3, 3)))[0]:
        k = np.einsum("ij,j...->i...", rotation, f)
        h = np.exp(-2 * np.pi**2 * (4 * k[0] ** 2 + k[1] ** 2 + k[2] ** 2))
        y = scipy.fft.irfftn(h * scipy.fft.rfftn(x), shape) + noise * rng.standard_normal(shape)
        gram, rhs, energy = gram + h**2, rhs + h * scipy.fft.rfftn(y), energy + (y**2).sum()
    return gram, rhs, energy


def aligned(particle, rotation, translation, voxel, grid, model):
    """A particle brought into the model's frame on a grid that holds the model (shape ``model``) in its middle.

    The voxel at p from the model's centre shows the particle at R p + t from its own; zero where it was not seen.
    """
    edge = min(voxel)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid), indexing="ij"))
    centre = [(m - n) // 2 + (n - 1) / 2 for m, n in zip(grid, model, strict=True)]
    p = (index - np.reshape(centre, (3, 1, 1, 1))) * edge
    place = np.einsum("ij,j...->i...", rotation, p) + np.reshape(translation, (3, 1, 1, 1))
    place /= np.reshape(voxel, (3, 1, 1, 1))
    place += (np.reshape(particle.shape, (3, 1, 1, 1)) - 1) / 2
    sampled = scipy.ndimage.map_coordinates(particle.astype(np.float64), place, order=3, mode="mirror")
    ends = np.reshape(particle.shape, (3, 1, 1, 1)) - 0.5
    return np.where(((place < -0.5) | (place > ends)).any(axis=0), 0, sampled)


def embedded(view, grid):
    """A view that is already in the model's frame, in the middle of a grid."""
    out = np.zeros(grid)
    out[tuple(slice((m - n) // 2, (m - n) // 2 + n) for m, n in zip(grid, view.shape, strict=True))] = view
    return out


def normal_equations(views, transfers, weights):
    """S, B and c, view by view, from views on the grid and their transfer functions."""
    gram = sum(w * np.abs(h) ** 2 for w, h in zip(weights, transfers, strict=True))
    spectra = [scipy.fft.rfftn(y) for y in views]
    rhs = sum(w * h.conj() * y for w, h, y in zip(weights, transfers, spectra, strict=True))
    return gram, rhs, sum(w * (y**2).sum() for w, y in zip(weights, views, strict=True))


def spfluo_resized(x, size):
    """A volume on a cube about the same middle: linear interpolation, zero outside."""
    offset = (np.array(x.shape) - size) / 2
    return scipy.ndimage.affine_transform(x, np.eye(3), offset, (size,) * 3, order=1, prefilter=False)


def spfluo_turned(x, size, rotation, centre, middle):
    """A volume at R (o - centre) + middle of each voxel o: linear interpolation, zero outside."""
    origin = middle - rotation @ centre
    return scipy.ndimage.affine_transform(x, rotation, origin, (size,) * 3, order=1, prefilter=False)


def spfluo_l2(views, psf, poses, lambda_, exact):
    """SPFluo's closed form for one channel: views (N, D, D, D), poses (k, N, 6), in complex FFTs of whole arrays."""
    size = views.shape[-1]
    odd = size + 1 - size % 2
    grid = odd if exact else size
    pad = grid - size  # a plane of zeros behind the last one
    psf, num, den = spfluo_resized(psf, odd), 0, 0
    for view, pose in ((view, copies[i]) for copies in poses for i, view in enumerate(views)):
        rotation = scipy.spatial.transform.Rotation.from_euler("XZX", pose[:3], degrees=True).as_matrix()
        centre, middle = np.full(3, (grid - 1) / 2), (size - 1) / 2 + pose[3:]
        y = spfluo_turned(np.pad(view, (0, pad)), grid, rotation, centre, middle)
        h = spfluo_turned(psf, grid, rotation, np.full(3, odd // 2), np.full(3, odd // 2))
        h, y = np.fft.fftn(np.roll(h, (-(grid // 2),) * 3, (0, 1, 2))), np.fft.fftn(y)
        num, den = num + np.conj(h) * y, den + np.abs(h) ** 2
    count = poses.shape[0] * poses.shape[1]
    corner = np.zeros((grid,) * 3)
    corner[0, 0, 0] = 1
    penalty = sum(np.abs(np.fft.fftn(d)) ** 2 for d in differences(corner))
    x = np.maximum(np.fft.ifftn(num / count / (den / count + lambda_ * penalty)).real, 0)
    return spfluo_resized(x, size)


def smooth(image):
    """An image smoothed by (1, 4, 6, 4, 1) / 16 along each axis, where all five voxels are in it."""
    for axis in range(3):
        image = scipy.ndimage.convolve1d(image, np.array([1, 4, 6, 4, 1]) / 16, axis)
    return image[2:-2, 2:-2, 2:-2]


def comparison(view, shown, seen, corner=(0, 0, 0)):
    """What is noted inside and outside of the ellipsoid that touches the faces: see `smooth_comparison.NUMBERS`.

    Every second voxel of the smooth images is looked at, from a corner on.
    """
    lattice = tuple(slice(first, None, 2) for first in corner)
    place = np.indices(view.shape).T - (np.array(view.shape)[::-1] - 1)[::-1] / 2
    far = ((place / (np.array(view.shape) / 2)) ** 2).sum(axis=-1).T > 1
    whole = scipy.ndimage.binary_erosion(seen, np.ones((5, 5, 5)))[2:-2, 2:-2, 2:-2]
    y, p = smooth(np.where(seen, view, 0) - view[seen].mean()), smooth(shown)
    steps = np.diff(view, 3) ** 2
    sums = []
    for part in (~far, far):
        chosen = (part[2:-2, 2:-2, 2:-2] & whole)[lattice]
        a, b = p[lattice][chosen], y[lattice][chosen]
        four = np.logical_and.reduce([(part & seen)[..., k : view.shape[2] - 3 + k] for k in range(4)])
        sums.append([a.size, a.sum(), b.sum(), a @ a, a @ b, b @ b, np.count_nonzero(four), steps[four].sum()])
    return np.array(sums)


def mean_on_circle(volume, voxel, axis, centre, height, radius):
    """The mean of SciPy's cubic spline over a circle about an axis, one degree after the other; NaN if most is outside."""
    axis = np.array(axis) / np.linalg.norm(axis)
    across = np.cross((1, 0, 0), axis)  # the smallest turn from z to the axis is about this
    angle = np.arctan2(np.linalg.norm(across), axis[0])
    turn = scipy.spatial.transform.Rotation.from_rotvec(
        across * angle / max(np.linalg.norm(across), 1e-300)
    ).as_matrix()
    values = []
    for degrees in range(360):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        place = np.array(centre) + height * axis + radius * (c * turn @ (0, 0, 1) + s * turn @ (0, 1, 0))
        index = place / voxel + (np.array(volume.shape) - 1) / 2
        if all(-0.5 < i < n - 0.5 for i, n in zip(index, volume.shape, strict=True)):
            values.append(scipy.ndimage.map_coordinates(volume, index[:, None], order=3, mode="mirror")[0])
    return np.mean(values) if len(values) >= 180 else np.nan


def mean_over_voxels(volume, axis, radius, most_height, width=0.5):
    """The mean of the voxels at about a distance from an axis through the middle, the nearer ones counting more."""
    axis, total, weights = np.array(axis) / np.linalg.norm(axis), 0.0, 0.0
    for index in np.ndindex(volume.shape):
        place = np.array(index) - (np.array(volume.shape) - 1) / 2
        height = place @ axis
        away = np.linalg.norm(place - height * axis)
        weight = max(0.0, 1 - abs(away - radius) / width) * (abs(height) < most_height)
        total, weights = total + weight * volume[index], weights + weight
    return total / weights
