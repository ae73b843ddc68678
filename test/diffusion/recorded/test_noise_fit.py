import json
import math
from dataclasses import replace

import pytest
import torch
from small_noise import small_map, spiky_noise

from ddpm_controller.diffusion.noise import standard_normal
from ddpm_controller.diffusion.recorded.noise_file import NoiseFileError, load_noise, save_noise
from ddpm_controller.diffusion.recorded.noise_fit import (
    FittedNoise,
    NoiseShape,
    choose_shape,
    fit_full_covariance,
    fit_noise,
    fit_white,
    nats_per_number,
    partial_autocorrelations,
)
from ddpm_controller.diffusion.recorded.recorded_noise import RecordedNoise


def drawn(noise_map, num_chunks, seed, num_rows=16):
    generator = torch.Generator().manual_seed(seed)
    eps = torch.randn(num_chunks, num_rows, 2, generator=generator).double()
    return noise_map.forward(eps)


def recorded(elements="scale_mixture"):
    return RecordedNoise(
        ("lift", "grip"),
        ("rad", "m"),
        0.1,
        torch.tensor([0.5, -0.1]).double(),
        torch.tensor([2.0, 0.1]).double(),
        small_map(elements),
    )


def test_heavy_tails_with_memory_beat_full_covariance_and_that_beats_white():
    """Spec: AR(1) 0.9 and 5 % spikes; reference figures .546, .464 and -.246 nats per number."""
    fitting, held = spiky_noise(500, 0), spiky_noise(800, 1)
    fitted = fit_noise(fitting, NoiseShape(1))
    white = nats_per_number(fit_white(fitting).log_density, held)
    full = nats_per_number(fit_full_covariance(fitting).log_density, held)
    found = nats_per_number(fitted.log_density, held)
    # 12800 held-out numbers: a standard error of 0.02 for each, less for their differences.
    assert white == pytest.approx(0.546, abs=0.08)
    assert full == pytest.approx(0.464, abs=0.08)
    assert found == pytest.approx(-0.246, abs=0.08)
    assert found < full - 0.5
    assert full < white - 0.03
    # True memory 0.9; what the spikes hide makes it a little smaller.
    assert fitted.noise_map.colouring.reflection.item() == pytest.approx(0.88, abs=0.04)


def test_memory_amounts_and_correlation_of_known_noise_are_found_again():
    chunks = 0.5 + 2.0 * drawn(small_map("sinh_arcsinh"), 1500, 0)
    fitted = fit_noise(chunks, NoiseShape(2, "sinh_arcsinh"))
    truth, found = small_map("sinh_arcsinh"), fitted.noise_map
    # 24000 rows: standard errors of 0.01 for memory, skew and log tail.
    torch.testing.assert_close(
        found.colouring.reflection, truth.colouring.reflection, rtol=0, atol=0.04
    )
    assert found.colouring.correlation[0, 1].item() == pytest.approx(0.4, abs=0.06)
    torch.testing.assert_close(found.elements.skew, truth.elements.skew, rtol=0, atol=0.06)
    torch.testing.assert_close(found.elements.tail, truth.elements.tail, rtol=0.08, atol=0)
    torch.testing.assert_close(fitted.scale, torch.full((2,), 2.0).double(), rtol=0.1, atol=0)
    torch.testing.assert_close(fitted.mean, torch.full((2,), 0.5).double(), rtol=0, atol=0.15)


def test_the_place_of_the_tails_is_chosen_by_likelihood():
    for innovations in (True, False):
        chunks = drawn(small_map("sinh_arcsinh", innovations), 300, 0)
        shapes = [NoiseShape(2, "sinh_arcsinh", place) for place in (True, False)]
        chosen, scores = choose_shape(chunks[:200], chunks[200:], shapes)
        assert chosen.shapes_innovations is innovations
        assert scores[chosen] == min(scores.values())


def test_the_fit_is_deterministic_and_says_nats_in_the_units_given():
    chunks = spiky_noise(100, 0)
    shape = NoiseShape(1, "sinh_arcsinh")
    first, second = (fit_noise(chunks, shape) for _ in range(2))
    assert torch.equal(first.scale, second.scale)
    tenfold = fit_noise(10 * chunks, shape)
    gap = nats_per_number(tenfold.log_density, 10 * chunks)
    gap -= nats_per_number(first.log_density, chunks)
    # The fits end where their gradients are small, 1e-5.
    assert gap == pytest.approx(math.log(10), abs=1e-3)


def test_white_and_full_covariance_by_hand():
    """Two numbers of variance 1 and correlation 0.6: log(2 pi e) / 2 + log(1 - 0.36) / 4 each."""
    generator = torch.Generator().manual_seed(0)
    first, other = torch.randn(2, 50_000, 1, generator=generator).double()
    chunks = torch.stack([first, 0.6 * first + 0.8 * other], dim=1)
    white = nats_per_number(fit_white(chunks).log_density, chunks)
    full = nats_per_number(fit_full_covariance(chunks).log_density, chunks)
    # 100000 numbers: standard error 0.003.
    assert white == pytest.approx(0.5 * math.log(2 * math.pi * math.e), abs=0.01)
    assert full == pytest.approx(white + 0.25 * math.log(0.64), abs=0.005)


def test_burg_finds_the_memory_of_long_noise():
    chunks = spiky_noise(50, 0, num_rows=400, spikes=0.0)
    found = partial_autocorrelations(chunks, 3).flatten()
    # 20000 rows: standard error 0.007 for the two that are 0.
    torch.testing.assert_close(found, torch.tensor([0.9, 0.0, 0.0]).double(), rtol=0, atol=0.03)


@pytest.mark.parametrize("elements", ["sinh_arcsinh", "scale_mixture"])
def test_a_noise_file_comes_back_bit_for_bit(tmp_path, elements):
    noise = recorded(elements)
    name = save_noise(tmp_path / "noise.json", noise, {"robot": "small"})
    file = load_noise(tmp_path / "noise.json")
    assert file.hash == name
    assert file.provenance == {"robot": "small"}
    assert (file.noise.names, file.noise.units) == (noise.names, noise.units)
    draws = [each.sample(3, 5, torch.Generator().manual_seed(0)) for each in (noise, file.noise)]
    assert torch.equal(*draws)
    assert torch.equal(file.noise.log_density(draws[0]), noise.log_density(draws[0]))


def test_the_density_of_recorded_noise_counts_its_unit_in_every_row():
    noise = recorded()
    tenfold = replace(noise, mean=10 * noise.mean, scale=10 * noise.scale)
    chunks = noise.sample(3, 5, torch.Generator().manual_seed(0))
    gap = noise.log_density(chunks) - tenfold.log_density(10 * chunks)
    expected = torch.full((3,), 5 * 2 * math.log(10), dtype=torch.float64)
    torch.testing.assert_close(gap, expected)


def test_samples_are_the_map_of_normal_noise_in_the_unit_given():
    noise = recorded()
    drawn = noise.sample(5, 8, torch.Generator().manual_seed(3))
    normal = standard_normal((5, 8, 2), torch.Generator().manual_seed(3)).double()
    back = noise.noise_map.inverse((drawn - noise.mean) / noise.scale)
    # The inverse is exact up to rounding.
    torch.testing.assert_close(back, normal, rtol=0, atol=1e-9)


def test_columns_are_chosen_by_name():
    noise = recorded()
    turned = noise.selected(("grip", "lift"))
    chunks = noise.sample(4, 6, torch.Generator().manual_seed(0))
    # The same density whatever the order of the columns, up to rounding.
    torch.testing.assert_close(
        turned.selected(("lift", "grip")).log_density(chunks), noise.log_density(chunks)
    )
    assert turned.scale.tolist() == noise.scale.flip(0).tolist()
    with pytest.raises(ValueError, match=r"\['wrist'\].*fitted \['lift', 'grip'\]"):
        noise.selected(("lift", "wrist"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "checkpoint"}, "its kind must be 'recorded_noise'"),
        ({"format_version": 9}, "format version 9 but this release reads 1"),
        ({"scale": [1.0]}, "scale must be .2., one per name, got .1,."),
        ({"scale": [1.0, -1.0]}, "scale must be above 0"),
        ({"reflection": [[1.5, 0.0]]}, "between -1 and 1"),
        ({"correlation": [[1.0, 2.0], [2.0, 1.0]]}, "positive definite"),
        ({"names": ["lift", "lift"]}, "names must differ"),
        ({"elements": {"kind": "spline"}}, "elements must be one of"),
        ({"colour": "pink"}, "has .'colour'. that nothing reads"),
        ({"period_s": 0}, "period_s must be above 0"),
        ({"shapes_innovations": 1}, "true or false, got 1"),
    ],
)
def test_a_noise_file_that_breaks_a_rule_is_refused(tmp_path, change, message):
    path = tmp_path / "noise.json"
    save_noise(path, recorded(), {})
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(NoiseFileError, match=f"noise.json: .*{message}"):
        load_noise(path)


def test_a_missing_or_broken_file_is_refused(tmp_path):
    with pytest.raises(NoiseFileError, match="cannot be read"):
        load_noise(tmp_path / "nowhere.json")
    (tmp_path / "cut.json").write_text('{"kind": "rec')
    with pytest.raises(NoiseFileError, match="not JSON"):
        load_noise(tmp_path / "cut.json")
    (tmp_path / "list.json").write_text("[1, 2]")
    with pytest.raises(NoiseFileError, match="not a noise file"):
        load_noise(tmp_path / "list.json")


def test_residuals_that_break_a_rule_are_refused():
    good = spiky_noise(10, 0)
    with pytest.raises(ValueError, match="order must be below the rows"):
        fit_noise(good, NoiseShape(16))
    with pytest.raises(ValueError, match="1 residuals are not finite"):
        fit_noise(torch.where(good == good.max(), math.nan, good), NoiseShape(1))
    with pytest.raises(ValueError, match=r"columns \[0\] never change"):
        fit_white(0 * good)
    with pytest.raises(ValueError, match="float64"):
        fit_full_covariance(good.float())
    with pytest.raises(ValueError, match="tails must be one of"):
        NoiseShape(1, "cauchy")
    with pytest.raises(ValueError, match="order must be 0 or more, got -1"):
        NoiseShape(-1)
    assert isinstance(fit_noise(good, NoiseShape(0)), FittedNoise)
