import math

import pytest
import torch

from ddpm_controller.networks.embeddings import TimestepEmbedding


def test_the_features_are_sines_and_cosines_of_falling_frequency():
    embedding = TimestepEmbedding(4)
    embedding.mlp = torch.nn.Identity()
    expected = [math.sin(7.0), math.sin(0.07), math.cos(7.0), math.cos(0.07)]
    assert embedding(torch.tensor([7]))[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_an_odd_dimension_is_refused():
    with pytest.raises(ValueError, match="even dim of at least 2, got 3"):
        TimestepEmbedding(3)
