"""Views that did not see all: their masks, what is summed and predicted of them, and what is known near a volume."""

import naive
import numpy as np
import pytest
import scipy.fft

import fastmpr
from fastmpr import Dataset, Poses
from fastmpr.reconstruction.curvature import Curvature
from fastmpr.reconstruction.partial import PartialEquations
from fastmpr.runtime.stopping import Stop
from fastmpr.solver.quadratic import Quadratic
from fastmpr.sums.accumulator import Accumulator
from fastmpr.sums.observation import observe, predict
from fastmpr.sums.resampling import inner_centre, middle
from fastmpr.sums.transfer import transfer_functions

SHAPE = (14, 15, 16)
PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))
POSES = Poses.random(5, max_translation=1.0, rng=0)
WEIGHTS = np.array([1.0, 2.0, 0.5, 1.0, 1.0])
VIEWS = fastmpr.simulate(fastmpr.phantom.centriole(SHAPE, dtype=np.float64), PSF, POSES, noise_sigma=0.05, rng=0) + 0.1


def data_of(frame="particle", outside="auto"):
    """Two crops, one view with a mask, one with a dead voxel, and one that saw all."""
    views = VIEWS.copy()
    views[0, :, :4] = views[0, :, 11:] = np.nan
    views[1, 3:] = np.nan
    views[2][np.random.default_rng(1).random(SHAPE) < 0.05] = np.nan
    views[3, 7, 7, 7] = np.nan
    return Dataset(views, PSF, POSES, weights=WEIGHTS, frame=frame, outside=outside, background="none")


def observed(data, groups=None, workers=2):
    return observe(Accumulator(data, groups or [data.used], SHAPE, workers, None, Stop("test")))


def masks(data, grid):
    """Where each view saw something of the grid: 1, or 2 beyond its image where that is known to be dark."""
    found, shape = [], data.particle_shape
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid), indexing="ij"), axis=-1) - inner_centre(grid, shape)
    for i in range(len(data)):
        rotation, shift = data.placed.matrix[i], data.placed.translation[i]
        place = (index if data.frame == "model" else index @ rotation.T + shift) + middle(shape)
        seen = np.isfinite(data.read(i))
        if seen.all():
            found.append(np.where(inside(place, -0.5, np.array(shape) - 0.5), 1, 2))
            continue
        bounds = [np.flatnonzero(seen.any(axis=tuple({0, 1, 2} - {a}))) for a in range(3)]
        low, high = (np.array([b[k] for b in bounds]) for k in (0, -1))
        within = inside(place, low, high)
        for corner in np.ndindex(2, 2, 2):
            rounded = np.where(corner, np.ceil(place), np.floor(place)).astype(int)
            within &= seen[tuple(np.clip(rounded, low, high)[..., a] for a in range(3))]
        beyond = data.source.seen(i).beyond & ~inside(place, -0.5, np.array(shape) - 0.5)
        found.append(np.where(within, 1, np.where(beyond, 2, 0)))
    return found


def inside(place, low, high):
    return ((place >= low) & (place <= high)).all(axis=-1)


class Twin:
    """All views on the grid, one by one: what each saw, its mask, its transfer function."""

    def __init__(self, data, grid):
        shape = data.particle_shape
        self.grid, self.weights, self.masks = grid, data.weights, masks(data, grid)
        (transfer,) = transfer_functions(data)
        self.h = [transfer.sample(rotation, grid, data.model_voxel) for rotation in data.placed.matrix]
        self.views = []
        for i, mask in enumerate(self.masks):
            part, seen = data.source.view(i)
            corner = np.zeros(3) if seen is None else seen.corner
            if data.frame == "model":
                view = np.zeros(grid)
                first = (np.array(grid) - shape) // 2 + corner.astype(int)
                view[tuple(slice(a, a + n) for a, n in zip(first, part.shape, strict=True))] = part
            else:  # the middle of the part is not that of the image
                shift = data.placed.translation[i] + (np.array(shape) - part.shape) / 2 - corner
                view = naive.aligned(part, data.placed.matrix[i], shift, (1, 1, 1), grid, shape)
            self.views.append(np.where(mask == 1, view, 0))

    def shown(self, x):
        return [scipy.fft.irfftn(h * scipy.fft.rfftn(x), self.grid) for h in self.h]

    def sums(self, images):
        return naive.normal_equations(images, self.h, self.weights)

    def filled(self, x, levels):
        pairs = zip(self.views, self.shown(x), self.masks, levels, strict=True)
        return [np.where(mask == 1, view - level, np.where(mask == 2, 0, shown)) for view, shown, mask, level in pairs]

    def misfit(self, x):
        pairs = zip(self.weights, self.views, self.shown(x), self.masks, strict=True)
        return sum(w * (((view - shown) * (mask > 0)) ** 2).sum() for w, view, shown, mask in pairs)

    def slope(self, x):
        """Half the gradient of the misfit."""
        pairs = zip(self.weights, self.h, self.views, self.shown(x), self.masks, strict=True)
        return sum(
            w * scipy.fft.irfftn(h.conj() * scipy.fft.rfftn((shown - view) * (mask > 0)), self.grid)
            for w, h, view, shown, mask in pairs
        )


@pytest.fixture(scope="module", params=["particle", "model"])
def frame(request):
    return request.param


@pytest.fixture(scope="module")
def pair(frame):
    data = data_of(frame)
    observation = observed(data)
    return observation, Twin(data, observation.accumulator.grid)


def volume(grid, seed=0):
    return np.random.default_rng(seed).random(grid)


def near(observation, x, share=None):
    (filled,), _ = predict(observation, x, np.zeros(5))
    known, seen = observation.weight_seen(0)
    curvature = Curvature(observation.accumulator.grid, np.float64, 2)
    return PartialEquations(filled, x, known if share is None else share, seen, 14 * 15 * 16, curvature)


def as_sums(data: Quadratic) -> fastmpr.NormalEquations:
    return fastmpr.NormalEquations(data.gram, data.rhs, data.energy, 1, data.shape, data.voxel_size)


def close(found, expected, relative=1e-9):
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * np.abs(expected).max())


class TestSums:
    def test_what_was_seen_is_summed(self, pair):
        observation, twin = pair
        (sums,) = observation.sums
        gram, rhs, energy = twin.sums(twin.views)
        close(sums.gram, gram)
        close(sums.rhs, rhs, 1e-6)  # the naive twin's spline differs beside the faces of an image
        assert sums.energy == pytest.approx(energy, rel=1e-6)
        assert observation.partial.tolist() == [True, True, True, True, False]

    def test_how_often_each_voxel_was_seen(self, pair):
        observation, twin = pair
        share, seen = observation.weight_seen(0)
        close(share, sum(w * (mask > 0) for w, mask in zip(WEIGHTS, twin.masks, strict=True)) / WEIGHTS.sum())
        counts = [(mask == 1).sum() for mask in twin.masks[:4]]
        assert seen == pytest.approx(sum(counts) + np.prod(SHAPE))

    def test_the_rest_is_predicted(self, pair):
        observation, twin = pair
        x, levels = volume(observation.accumulator.grid), np.array([0.1, -0.2, 0.3, 0.05, 0.0])
        (filled,), residual = predict(observation, x, levels)
        _, rhs, energy = twin.sums(twin.filled(x, levels))
        close(filled.rhs, rhs, 1e-6)
        assert filled.energy == pytest.approx(energy, rel=1e-6)
        triples = list(zip(twin.views, twin.shown(x), twin.masks, strict=True))[:4]
        close(residual, [*((view - shown)[mask == 1].mean() for view, shown, mask in triples), 0], 1e-6)

    @pytest.mark.parametrize("workers", [1, 3])
    def test_however_many_work_on_them(self, pair, workers):
        observation, _ = pair
        other = observed(observation.accumulator.data, workers=workers)
        x = volume(observation.accumulator.grid)
        results = [predict(a, x, np.zeros(5)) for a in (observation, other)]
        close(results[1][0][0].rhs, results[0][0][0].rhs)
        close(results[1][1], results[0][1])

    def test_two_groups_are_the_whole(self, frame):
        data = data_of(frame)
        observation, whole = observed(data, [np.array([0, 2]), np.array([1, 3, 4])]), observed(data)
        x = volume(whole.accumulator.grid)
        halves = predict(observation, x, np.zeros(5))[0]
        close((halves[0] + halves[1]).rhs, predict(whole, x, np.zeros(5))[0][0].rhs)

    def test_views_that_saw_all_are_not_asked(self, monkeypatch):
        data = Dataset(VIEWS, PSF, POSES)
        observation = observed(data)
        (filled,), residual = predict(observation, volume(observation.accumulator.grid), np.zeros(5))
        assert not residual.any()
        np.testing.assert_array_equal(filled.rhs, observation.sums[0].rhs)


class TestNearAVolume:
    def test_it_is_exact_there_and_so_is_its_slope(self, pair):
        observation, twin = pair
        x = volume(observation.accumulator.grid)
        term = near(observation, x)
        assert term.misfit(x) == pytest.approx(twin.misfit(x), rel=1e-6)
        spectrum = term.near(x).gram * scipy.fft.rfftn(x) - term.near(x).rhs
        close(scipy.fft.irfftn(spectrum, observation.accumulator.grid), twin.slope(x), 1e-6)

    def test_the_filled_sums_lie_above_what_was_seen(self, pair):
        observation, twin = pair
        term = near(observation, volume(observation.accumulator.grid))
        for seed in range(1, 4):
            other = volume(observation.accumulator.grid, seed)
            assert term.cautious().misfit(other) == pytest.approx(term.filled.misfit(other))
            assert term.filled.misfit(other) > twin.misfit(other)

    def test_sums_near_another_volume_touch_the_guess_there_from_above(self, pair):
        observation, _ = pair
        term, x = near(observation, volume(observation.accumulator.grid)), volume(observation.accumulator.grid, 1)
        sums = as_sums(term.near(x))
        offset = term.misfit(x) - sums.misfit(x)
        for seed in range(2, 5):
            other = volume(observation.accumulator.grid, seed)
            assert sums.misfit(other) + offset >= term.misfit(other) * (1 - 1e-9)

    @pytest.mark.parametrize("workers", [1, 2, 3])
    def test_the_guess_is_the_share_between_roots_of_s(self, pair, workers):
        observation, _ = pair
        gram, share = observation.sums[0].gram, observation.weight_seen(0)[0]
        step, out = volume(observation.accumulator.grid), np.empty_like(observation.sums[0].rhs)
        curvature = Curvature(observation.accumulator.grid, np.float64, workers)
        for _ in range(2):  # buffers serve again
            product = curvature.multiply(step, gram, share, (), out)
        spectrum, root = scipy.fft.rfftn(step), np.sqrt(gram)
        guessed = root * scipy.fft.rfftn(share * scipy.fft.irfftn(root * spectrum, step.shape))
        close(out, gram * spectrum - guessed)
        assert product == pytest.approx(np.vdot(step, scipy.fft.irfftn(out, step.shape)))

    def test_two_volumes_tell_the_curvature_between_them(self, pair):
        observation, twin = pair
        first, second, third = (near(observation, volume(observation.accumulator.grid, seed)) for seed in range(3))
        known = third.after(second.after(first))
        assert len(known.secants) == 2
        step = third.x - second.x
        moved, whole = np.empty_like(known.filled.rhs), known.filled.gram * scipy.fft.rfftn(step)
        known.curvature.multiply(step, known.filled.gram, known.share, known.secants, moved)
        close(scipy.fft.irfftn(whole - moved, step.shape), twin.slope(third.x) - twin.slope(second.x), 1e-6)
        back = known.misfit(second.x)  # a parabola with the right value, slope and curvature
        assert back == pytest.approx(twin.misfit(second.x), rel=1e-6)

    def test_where_all_is_seen_it_is_the_plain_least_squares(self):
        observation = observed(Dataset(VIEWS, PSF, POSES))
        term, x = near(observation, volume(observation.accumulator.grid)), volume(observation.accumulator.grid, 1)
        assert term.misfit(x) == pytest.approx(observation.sums[0].misfit(x))
        close(term.near(x).rhs, observation.sums[0].rhs)

    def test_terms_of_two_sets_add_up(self, frame):
        data = data_of(frame)
        halves = observed(data, [np.array([0, 2]), np.array([1, 3, 4])])
        x, other = volume(halves.accumulator.grid), volume(halves.accumulator.grid, 1)
        curvature = Curvature(halves.accumulator.grid, np.float64, 3)
        parts = [
            PartialEquations(filled, x, *halves.weight_seen(group), 14 * 15 * 16, curvature)
            for group, filled in enumerate(predict(halves, x, np.zeros(5))[0])
        ]
        whole = near(observed(data), x)
        assert (parts[0] + parts[1]).misfit(x) == pytest.approx(whole.misfit(x))
        assert parts[0].misfit(other) + parts[1].misfit(other) == pytest.approx(whole.misfit(other), rel=0.02)
