"""From files, arrays, or both, to one data set in one unit."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tifffile
from image_files import UNCLEAR, imagej_text, unclear

import fastmpr
from fastmpr import Dataset, Poses
from fastmpr.cli import main

SHAPE = (10, 12, 14)
PSF = fastmpr.psf.gaussian((9, 7, 7), sigma=(2, 1, 1))
VOXEL = (0.3, 0.1, 0.1)
N = 4
RANDOM = Poses.random(N, max_translation=1.0, rng=0)
NAMES = [f"particles/{i}.tif" for i in range(N)]
VIEWS = fastmpr.simulate(fastmpr.phantom.centriole(SHAPE), PSF, RANDOM, noise_sigma=0.05, rng=0)
POSES = Poses(RANDOM.rotation, RANDOM.translation, names=NAMES, unit="voxel")


@pytest.fixture
def files(tmp_path):
    """Four particles, PSF and poses, all with their lengths; the poses in another order."""
    (tmp_path / "particles").mkdir()
    for name, view in zip(NAMES, VIEWS, strict=True):
        fastmpr.io.write(tmp_path / name, view, VOXEL)
    fastmpr.io.write(tmp_path / "psf.tif", PSF, VOXEL)
    POSES[[2, 0, 3, 1]].write(tmp_path / "poses.csv")
    in_um = POSES.in_unit_of(VOXEL)[[3, 1, 0, 2]]
    in_um.write(tmp_path / "poses.star", shape=SHAPE, voxel_size=VOXEL)
    return tmp_path


def same(a: Dataset, b: Dataset) -> bool:
    """Whether both give the same sums, up to the digits of a file."""
    x, y = fastmpr.accumulate(a), fastmpr.accumulate(b)
    return x.voxel_size == pytest.approx(y.voxel_size) and bool(
        np.allclose(x.rhs, y.rhs, rtol=0, atol=1e-4 * np.abs(y.rhs).max())
    )


IN_MEMORY = Dataset(VIEWS, PSF, POSES, voxel_size=VOXEL)


@pytest.mark.parametrize("poses", ["poses.csv", "poses.star"])
def test_files_are_the_arrays_in_one_unit(files, poses):
    data = fastmpr.load(files / "particles", files / "psf.tif", files / poses)
    assert same(data, IN_MEMORY)
    assert data.names == tuple(NAMES)
    assert data.voxel_size == pytest.approx(VOXEL)
    assert data.unit == "um"
    assert data.assumed == ()
    assert data.source.thread_safe


def test_some_files_and_some_arrays(files):
    for data in (
        fastmpr.load(files / "particles", PSF, files / "poses.csv"),
        fastmpr.load(str(files / "particles"), str(files / "psf.tif"), POSES),
        fastmpr.load(VIEWS, files / "psf.tif", files / "poses.csv", voxel_size=VOXEL, names=NAMES),
        fastmpr.load(fastmpr.load(files / "particles"), files / "psf.tif", files / "poses.csv"),
        fastmpr.load(Dataset(VIEWS, PSF, voxel_size=VOXEL, names=NAMES), poses=files / "poses.csv"),
    ):
        assert same(data, IN_MEMORY)


def test_a_stack(files):
    tifffile.imwrite(files / "stack.tif", VIEWS, photometric="minisblack", metadata={"axes": "QZYX"})
    POSES.write(files / "ordered.csv")
    data = fastmpr.load(files / "stack.tif", PSF, files / "ordered.csv", voxel_size=VOXEL)
    assert same(data, IN_MEMORY)
    assert data.assumed[-1].startswith("poses: not matched by name")
    with pytest.raises(ValueError, match=r"poses\.csv: found names out of order"):
        fastmpr.load(files / "stack.tif", PSF, files / "poses.csv", voxel_size=VOXEL)


def test_keywords_of_a_dataset_pass_through(files):
    data = fastmpr.load(files / "particles", PSF, POSES, weights=[1, 2, 3, 4], symmetry="C9")
    assert data.weights.tolist() == [1, 2, 3, 4]
    assert data.symmetry == "C9"


def test_a_file_is_read_once(files, monkeypatch):
    from fastmpr.io import particles

    read, count = particles.volume_of, []
    monkeypatch.setattr(
        particles, "volume_of", lambda stored, *rest: count.append(stored.path.name) or read(stored, *rest)
    )
    data = fastmpr.load(files / "particles", PSF, POSES)
    assert count == ["0.tif"]  # what tells shape and voxel size
    fastmpr.accumulate(data)
    assert sorted(count) == ["0.tif", "1.tif", "2.tif", "3.tif"]


def test_mrc_particles(tmp_path):
    import mrcfile

    for i, view in enumerate(VIEWS):
        with mrcfile.new(tmp_path / f"{i}.mrc") as file:
            file.set_data(view)
            file.voxel_size = tuple(1e4 * length for length in VOXEL[::-1])
    assert same(fastmpr.load(tmp_path, PSF, Poses(POSES.rotation, POSES.translation, unit="voxel")), IN_MEMORY)


@pytest.mark.parametrize("name", UNCLEAR)
def test_an_unclear_voxel_size_is_settled_by_the_callers(tmp_path, name):
    file = unclear(tmp_path / "v.tif", name, PSF)
    particles = np.ones((2, *SHAPE))
    for load, argument in (
        (lambda **size: fastmpr.load(file, **size), "voxel_size"),
        (lambda **size: fastmpr.load(particles, file, voxel_size=0.2, **size), "psf_voxel_size"),
        (lambda **size: fastmpr.load(Dataset(particles, voxel_size=0.2), file, **size), "psf_voxel_size"),
    ):
        with pytest.raises(ValueError, match=r"v\.tif: found a voxel size that is not clear .* need its voxel size"):
            load()
        assert getattr(load(**{argument: VOXEL}), argument) == VOXEL
        with pytest.raises(ValueError, match=f"^{argument}: found"):
            load(**{argument: (1, 1, -1)})
    with pytest.raises(ValueError, match=r"v\.tif: found a voxel size that is not clear"):
        fastmpr.io.read(file)
    assert fastmpr.io.read(file, 0.1)[1] == (0.1, 0.1, 0.1)


def test_an_unclear_voxel_size_is_settled_on_the_command_line(files, capsys):
    for name in NAMES:
        imagej_text(files / name, text="unit=MM\nspacing=0.3\n", array=tifffile.imread(files / name))
    line = [
        "reconstruct",
        str(files / "particles"),
        "--poses",
        str(files / "poses.csv"),
        "--psf",
        str(files / "psf.tif"),
    ]
    line += ["-o", str(files / "x.tif"), "--max-iter", "1", "--lam", "10", "--quiet", "--tol", "0"]
    assert main(line) != 0
    assert "0.tif: found a voxel size that is not clear (z 0.3 MM, y 0.1 MM, x 0.1 MM), need" in capsys.readouterr().err
    assert main([*line, "--voxel-size", "0.3", "0.1", "0.1"]) == 0
    line = [
        "simulate",
        str(files / NAMES[0]),
        "-o",
        str(files / "views"),
        "--psf",
        str(files / NAMES[0]),
        "--poses",
        "1",
    ]
    assert main(line) != 0
    sizes = ["0.3", "0.1", "0.1"]
    assert main([*line, "--quiet", "--voxel-size", *sizes, "--psf-voxel-size", *sizes]) == 0
    assert fastmpr.io.read(files / "views" / "psf.tiff")[1] == pytest.approx(VOXEL)


class Counted(list):
    """Particles that count how often one is read."""

    reads = 0

    def __getitem__(self, i):
        type(self).reads += 1
        return np.zeros(SHAPE)


def test_only_rotations_about_another_point_need_a_particle(files):
    """To learn its shape, and only when the poses are used; whether units fit is seen at once."""
    star = Poses.read(files / "poses.star").matched(NAMES)
    for poses in (POSES, star):
        data = Dataset(Counted(range(N)), poses=poses, voxel_size=VOXEL)
        assert Counted.reads == 0
        np.testing.assert_allclose(data.placed.translation, POSES.in_unit_of(VOXEL).translation, atol=1e-12)
        assert data.placed.centre == "(n - 1) / 2"
        assert Counted.reads == (poses is star)
    Counted.reads = 0
    with pytest.raises(ValueError, match="voxel_size: found none, need it since the poses' translations are in um"):
        Dataset(Counted(range(N)), poses=star)
    assert Counted.reads == 0


def test_bad_input(files):
    load = fastmpr.load
    with pytest.raises(ValueError, match="poses: found one beside a Dataset that has its own"):
        load(IN_MEMORY, poses=files / "poses.csv")
    with pytest.raises(ValueError, match="psf: found one beside a Dataset"):
        load(IN_MEMORY, PSF)
    with pytest.raises(ValueError, match=r"poses\.csv: found 4 poses for 2 particles"):
        load(VIEWS[:2], PSF, files / "poses.csv")
    with pytest.raises(ValueError, match=r"particles: found no voxel size, but lengths in .*psf\.tif"):
        load(VIEWS, files / "psf.tif", POSES)
    with pytest.raises(ValueError, match=r"particles: found no voxel size, but lengths in .*poses\.star"):
        load(VIEWS, PSF, files / "poses.star")
    with pytest.raises(ValueError, match=r"poses\.csv: poses: found none for 'x'"):
        load(VIEWS, PSF, files / "poses.csv", names=["x", *NAMES[1:]])
    with pytest.raises(FileNotFoundError, match="nowhere: does not exist"):
        load(files / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"psf2\.tif: does not exist"):
        load(VIEWS, files / "psf2.tif")
    with pytest.raises(ValueError, match=r"found the suffix '.txt', need .poses.csv or .csv or .star"):
        load(VIEWS, PSF, files / "poses.txt")


def test_a_list_a_generator_and_a_pattern_of_files(files):
    psf, poses = files / "psf.tif", files / "poses.csv"
    paths = [files / name for name in NAMES]
    for given in (paths, tuple(map(str, paths)), (files / "particles").glob("*.tif"), f"{files}/particles/*.tif"):
        data = fastmpr.load(given, psf, poses)
        assert same(data, IN_MEMORY)
        assert data.voxel_size == pytest.approx(VOXEL)
        assert data.assumed == ()
    data = fastmpr.load(paths[::-1], psf, poses)
    assert data.names == tuple(map(str, paths[::-1]))
    unnamed = Poses(POSES.rotation, POSES.translation, unit="voxel")
    with pytest.raises(ValueError, match=r"^names: found names that are not in natural order"):
        fastmpr.load(paths[::-1], psf, unnamed)
    assert same(fastmpr.load(paths, psf, unnamed), IN_MEMORY)
    with pytest.raises(TypeError, match=r"^particles\[1\]: found 3, need the name of a file"):
        fastmpr.load([paths[0], 3], psf, poses)
    for wrong in (iter([]), (view for view in VIEWS)):
        with pytest.raises(
            TypeError, match="^particles: found an iterator of .*, need a sequence of 3-D arrays, or the paths"
        ):
            fastmpr.load(wrong, psf, poses)


def test_which_particle_has_no_pose_and_which_pose_no_particle(files):
    fastmpr.io.write(files / "particles" / "0 - Copy.tif", VIEWS[0], VOXEL)
    message = r"found 4 poses for 5 particles in .*particles, need one each \(no pose for 'particles/0 - Copy.tif'\)"
    with pytest.raises(ValueError, match=rf"poses\.csv: {message}"):
        fastmpr.load(files / "particles", PSF, files / "poses.csv")
    for name in ("0 - Copy.tif", "2.tif"):
        (files / "particles" / name).unlink()
    with pytest.raises(ValueError, match=r"for 3 particles in .*, need one each \(no particle for 'particles/2.tif'\)"):
        fastmpr.load(files / "particles", PSF, files / "poses.csv")


def test_how_one_file_may_hold_all(files):
    POSES.write(files / "ordered.csv")
    for array, words in (
        (VIEWS.swapaxes(0, 1), r"for 10 particles in .*its first two axes may be swapped, \(z, n, y, x\)"),
        (VIEWS.reshape(-1, *SHAPE[1:]), "for 1 particle in .*its 40 planes may be those of all, one after another"),
        (VIEWS[0, :9], "for 1 particle in .*it is one volume"),
    ):
        tifffile.imwrite(files / "all.tif", array, photometric="minisblack", metadata={"axes": "QZYX"[-array.ndim :]})
        with pytest.raises(ValueError, match=words):
            fastmpr.load(files / "all.tif", PSF, files / "ordered.csv", voxel_size=VOXEL)


def test_optics_groups_of_several_pixels(files):
    text = (files / "poses.star").read_text()
    for second, refused in ((1000, False), (1000.4, False), (1040, True)):
        optics = f"data_optics\nloop_\n_rlnOpticsGroup\n_rlnImagePixelSize\n_rlnImageSize\n1 1000 14\n2 {second} 14\n"
        group = iter("1212")
        lines = ("data_particles" + text.split("data_particles")[1]).splitlines()
        rows = "\n".join(f"{line[:-1]}{next(group)}" if line.count(".") > 5 else line for line in lines)
        (files / "mixed.star").write_text(optics + rows + "\n")
        given = (files / "particles", files / "psf.tif", files / "mixed.star")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # these boxes are no cubes, as RELION's are
            if refused:
                message = r"mixed\.star: found optics groups of pixels of 0\.1 and 0\.104 um, need particles of one"
                with pytest.raises(ValueError, match=message):
                    fastmpr.load(*given)
                assert same(fastmpr.load(*given, voxel_size=VOXEL), IN_MEMORY)
            else:
                assert same(fastmpr.load(*given), IN_MEMORY)


def test_a_voxel_of_one_micrometre_beside_lengths_is_said(files):
    star = Poses.read(files / "poses.star").matched(NAMES)
    assert any("1 um on all sides" in text for text in Dataset(VIEWS, PSF, star, voxel_size=1.0).assumed)
    assert not any("1 um" in text for text in Dataset(VIEWS, PSF, star, voxel_size=VOXEL).assumed)


def test_a_file_of_relion_brings_its_two_fold_axis(files):
    """Its odd dihedral groups have one along x, array axis 2, as if both axes were given."""
    text = (files / "poses.star").read_text()
    (files / "relion.star").write_text("\n".join(line for line in text.splitlines() if not line.startswith("#")))
    given = (files / "particles", files / "psf.tif")
    for symmetry, axes in (("D3", ((1, 0, 0), (0, 0, 1))), ("D5", ((0, 1, 0), (0, 0, 1)))):
        data = fastmpr.load(*given, files / "relion.star", symmetry=symmetry, symmetry_axis=axes[0])
        assert same(data, fastmpr.load(*given, files / "relion.star", symmetry=symmetry, symmetry_axis=axes))
        ours = fastmpr.load(*given, files / "poses.star", symmetry=symmetry, symmetry_axis=axes[0])
        assert not same(data, ours)


class TestChoices:
    """Which channel, frame and image of each file: by keywords, and on the command line."""

    @pytest.fixture
    def several(self, tmp_path):
        views = np.stack([np.asarray(VIEWS), np.asarray(VIEWS) + 1]).astype(np.float32)  # channels, particles
        for i in range(len(VIEWS)):
            fastmpr.io.write_image(
                tmp_path / f"{i}.ome.tif", views[:, i], "CZYX", VOXEL, about=fastmpr.io.About(("DAPI", "GFP"))
            )
        return tmp_path

    def test_channel(self, several):
        with pytest.raises(ValueError, match=r"0\.ome\.tif: .* one of its 2 channels \(channel=, --channel\)"):
            fastmpr.load(several)
        for channel in (1, "GFP"):
            data = fastmpr.load(several, channel=channel)
            np.testing.assert_allclose(data.read(0), np.asarray(VIEWS[0], np.float32) + 1)

    def test_frame_is_a_number_of_files_or_a_word_of_the_data_set(self, tmp_path):
        fastmpr.io.write_image(tmp_path / "a.ome.tif", np.stack([PSF, PSF + 1]), "TZYX", VOXEL)
        data = fastmpr.load([tmp_path / "a.ome.tif"], frame=1)
        np.testing.assert_allclose(data.read(0), np.asarray(PSF, np.float32) + 1)
        assert data.frame == "particle"
        assert fastmpr.load(tmp_path / "a.ome.tif", voxel_size=0.15, frame="model").frame == "model"

    def test_arrays_have_nothing_to_choose_from(self):
        for choice in ({"channel": 0}, {"frame": 0}, {"scene": "a"}):
            with pytest.raises(ValueError, match=f"^{[*choice][0]}: found .* and no files of particles"):
                fastmpr.load(np.ones((2, 4, 5, 6)), **choice)
