"""The convolution that a fully-connected layer is nearest to, when nobody says which unit is which.

The units of a trained FC layer have no channel and no place. Here every unit u is matched with a slot (template t,
position p) and a signed scale a, no slot twice, so that Σ_u ‖u − a_u S_p(u) t(u)‖² is small, S_p t being template t
laid over the image at position p and cut off at its border. The minimum over all of this is the squared distance of
the layer to CONV modulo permutation, sign and scale of its units; finding it is as hard as clustering, and what is
returned is a good local one: an upper bound on the distance, exact on a planted convolution.

The road: candidate positions where a unit has its energy; first templates by farthest-first search; alternation of
matching and least squares; one-to-one assignment within each template; least squares again, in float64.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import linear_sum_assignment

from theory.operators import Convolution

_CANDIDATES = 25  # positions tried for each unit in the search
_SAMPLE = 4096  # units among which first templates are looked for
_CHUNK = 512  # units whose windows are copied at once
_ROUNDS = 3  # alternations of matching and fitting before the assignment
_REFITS = 10  # alternations of scales and templates after it
_FAINT = 1e-9  # a template with a smaller share of its energy inside the image matches nothing there


@dataclass(frozen=True)
class Match:
    """Units matched with slots of a convolution of `templates` channels.

    Attributes:
        templates: `[channels, in_channels, kernel, kernel]` float64, of unit norm.
        channel, position: `[units]` the slot of each unit, position in row-major order of the output; −1 where a unit
            has none, as units of zeros.
        scale: `[units]` signed factor of the template; 0 where there is no slot.
        explained: `[units]` ‖a S_p t‖² / ‖u‖² in [0, 1]; nan for units of zeros.
        unexplained: ‖W − Ŵ‖² / ‖W‖² in [0, 1], Ŵ the matched convolution; 0 for an embedded one.
        coverage: share of the slots held by a unit of which more than half is explained.
        shares: `[channels]` share of the energy of a sample of units that the first 1, 2, … templates explain.
    """

    templates: np.ndarray
    channel: np.ndarray
    position: np.ndarray
    scale: np.ndarray
    explained: np.ndarray
    unexplained: float
    coverage: float
    shares: np.ndarray

    def templates_needed(self, share: float = 0.9) -> int | None:
        """How many templates explain this share of the sampled energy, positions free; None if all are not enough."""
        enough = np.flatnonzero(self.shares >= share)
        return int(enough[0]) + 1 if len(enough) else None


def nearest_convolution(matrix: np.ndarray, convolution: Convolution, *, seed: int = 0) -> Match:
    """Match the rows of a matrix with the slots of a convolution.

    Args:
        matrix: `[units, in_channels · height · width]`, columns channel-major; any number of units up to that of slots.
        convolution: the geometry compared with, two-dimensional and zero-padded, square in nothing.
        seed: of the sample of units in which first templates are looked for.

    Raises:
        ValueError: a geometry of another kind, a matrix that does not fit it, entries that are not finite, or zeros
            only.
    """
    search = _Search(matrix, convolution)
    templates, shares = search.first_templates(np.random.default_rng(seed))
    for _ in range(_ROUNDS):
        channel, position = search.best_slots(templates)
        templates = search.fitted(templates, channel, position, alternations=1)
    channel, position = search.best_slots(templates)
    channel, position = search.one_to_one(templates, channel, position)
    templates = search.fitted(templates, channel, position, alternations=_REFITS)
    return search.match(templates, channel, position, shares)


class _Search:
    """The units as images, and what of them each position of the output sees."""

    def __init__(self, matrix: np.ndarray, convolution: Convolution) -> None:
        geometry = convolution
        if len(geometry.axes) != 2 or geometry.padding_mode != "zeros" or geometry.groups != 1:
            raise ValueError("the convolution must be two-dimensional, zero-padded and of one group")
        if any(axis.dilation != 1 for axis in geometry.axes):
            raise ValueError("the convolution must not be dilated")
        pixels = geometry.in_channels * geometry.spatial[0] * geometry.spatial[1]
        if matrix.ndim != 2 or matrix.shape[1] != pixels:
            raise ValueError(
                f"matrix must have {pixels} columns, {geometry.in_channels} × {geometry.spatial}, got {matrix.shape}"
            )
        if not np.isfinite(matrix).all() or not matrix.any():
            raise ValueError("matrix must be finite and not all zeros")
        self.slots = geometry.out_channels
        self.places = geometry.out_spatial[0] * geometry.out_spatial[1]
        if len(matrix) > self.slots * self.places:
            raise ValueError(
                f"{len(matrix)} units do not fit {self.slots} channels × {self.places} positions; give more channels"
            )
        self.geometry = geometry
        self.images = np.asarray(matrix).reshape(-1, geometry.in_channels, *geometry.spatial)
        self.energy = np.einsum("up,up->u", matrix, matrix, dtype=np.float64)
        self.alive = np.flatnonzero(self.energy > 0)
        ones = np.ones((1, geometry.in_channels, *geometry.spatial), np.float32)
        self.inside = self._windows(ones)[0].reshape(self.places, -1)  # [places, taps] 0/1

    def first_templates(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Farthest-first: the next template is the sampled unit that those before explain least."""
        sample = self._central(rng)
        places = self._candidates[sample]
        crops = self._crops(sample, places)  # [n, candidates, taps], of unit energy in all
        crops /= np.sqrt(self.energy[sample])[:, None, None]
        start = (crops**2).sum(-1).argmax(1)
        explained = np.zeros(len(sample))
        chosen, shares = [], []
        for _ in range(self.slots):
            unit = int((explained if chosen else -(crops**2).sum(-1).max(1)).argmin())
            template = crops[unit, start[unit]].copy()
            norm = np.linalg.norm(template)
            if norm == 0:
                break
            chosen.append(template / norm)
            explained = np.maximum(explained, self._scores(crops, places, chosen[-1][None])[..., 0].max(1))
            shares.append(float((explained * self.energy[sample]).sum() / self.energy[sample].sum()))
        missing = self.slots - len(chosen)
        taps = crops.shape[-1]
        return np.concatenate([np.stack(chosen), np.zeros((missing, taps), np.float32)]), np.array(
            shares + shares[-1:] * missing
        )

    def best_slots(self, templates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(channel, position) of each unit that explains most of it, slots taken by several units; −1 for zeros."""
        channel, position = (np.full(len(self.images), -1) for _ in range(2))
        for units in self._chunks(self.alive):
            places = self._candidates[units]
            scores = self._scores(self._crops(units, places), places, templates.astype(np.float32))
            best = scores.reshape(len(units), -1).argmax(1)
            candidate, channel[units] = np.divmod(best, len(templates))
            position[units] = places[np.arange(len(units)), candidate]
        return channel, position

    def fitted(self, templates: np.ndarray, channel: np.ndarray, position: np.ndarray, alternations: int) -> np.ndarray:
        """Templates by alternating least squares for scales and taps; a tap counts where it falls into the image.

        A template that no unit holds becomes the unit that is explained worst, in the window of most energy.
        """
        fitted = np.zeros(templates.shape)
        left = np.zeros(len(self.images))
        for t in range(len(templates)):
            units = np.flatnonzero(channel == t)
            crops, inside = self._at(units, position[units]), self.inside[position[units]].astype(np.float64)
            template = templates[t].astype(np.float64)
            for _ in range(alternations):
                scale = _ratio(crops @ template, inside @ template**2)
                template = _ratio(scale @ crops, scale**2 @ inside)
            norm = np.linalg.norm(template)
            fitted[t] = template / norm if norm > 0 else 0.0
            left[units] = self.energy[units] - _ratio((crops @ fitted[t]) ** 2, inside @ fitted[t] ** 2)
        idle = np.flatnonzero(~fitted.any(1))
        for t, unit in zip(idle, np.argsort(-left)[: len(idle)], strict=False):
            window = self._at(np.array([unit]), self._candidates[[unit], 0])[0]
            fitted[t] = window / max(float(np.linalg.norm(window)), 1e-300)
        return fitted

    def one_to_one(
        self, templates: np.ndarray, channel: np.ndarray, position: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """No slot twice: in each template the assignment that explains most; who finds no place tries the next best."""
        channel, position = channel.copy(), np.full_like(position, -1)
        free = np.ones((len(templates), self.places), dtype=bool)
        waiting = self.alive
        for last in (False, False, True):
            for t in np.unique(channel[waiting]):
                units, places = waiting[channel[waiting] == t], np.flatnonzero(free[t])
                gain = self._gains(units, templates[t])[:, places]
                rows, columns = linear_sum_assignment(gain, maximize=True)
                position[units[rows]] = places[columns]
                free[t, places[columns]] = False
            waiting = waiting[position[waiting] < 0]
            if last or not len(waiting):
                break
            room = np.flatnonzero(free.any(1))
            for units in self._chunks(waiting):
                places = self._candidates[units]
                scores = self._scores(self._crops(units, places), places, templates[room].astype(np.float32))
                channel[units] = room[scores.max(1).argmax(1)]
        channel[position < 0] = -1
        return channel, position

    def match(self, templates: np.ndarray, channel: np.ndarray, position: np.ndarray, shares: np.ndarray) -> Match:
        """What the slots explain."""
        scale, explained = np.zeros(len(self.images)), np.zeros(len(self.images))
        for t in range(len(templates)):
            units = np.flatnonzero(channel == t)
            product = self._at(units, position[units]) @ templates[t]
            seen = self.inside[position[units]] @ templates[t] ** 2
            scale[units] = _ratio(product, seen)
            explained[units] = _ratio(product**2, seen)
        with np.errstate(invalid="ignore"):
            share = np.minimum(explained / self.energy, 1.0)
        shape = (len(templates), self.geometry.in_channels, *(axis.kernel for axis in self.geometry.axes))
        return Match(
            templates=templates.reshape(shape),
            channel=channel,
            position=position,
            scale=scale,
            explained=share,
            unexplained=float(np.maximum(self.energy - explained, 0.0).sum() / self.energy.sum()),
            coverage=int((share[self.alive] > 0.5).sum()) / (self.slots * self.places),
            shares=shares,
        )

    def _windows(self, images: np.ndarray) -> np.ndarray:
        """`[units, rows, columns, in_channels, kernel, kernel]`, a view of the padded images."""
        first, second = self.geometry.axes
        padded = np.pad(images, ((0, 0), (0, 0), (first.before, first.after), (second.before, second.after)))
        view = np.lib.stride_tricks.sliding_window_view(padded, (first.kernel, second.kernel), axis=(2, 3))
        return view[:, :, :: first.stride, :: second.stride].transpose(0, 2, 3, 1, 4, 5)

    def _crops(self, units: np.ndarray, places: np.ndarray) -> np.ndarray:
        """float32 `[units, candidates, taps]`: the windows of each unit at its places."""
        rows, columns = np.divmod(places, self.geometry.out_spatial[1])
        windows = self._windows(self.images[units].astype(np.float32))
        return windows[np.arange(len(units))[:, None], rows, columns].reshape(*places.shape, -1)

    def _at(self, units: np.ndarray, place: np.ndarray) -> np.ndarray:
        """float64 `[units, taps]`: the window of each unit at one place."""
        rows, columns = np.divmod(place, self.geometry.out_spatial[1])
        windows = self._windows(self.images[units].astype(np.float64))
        return windows[np.arange(len(units)), rows, columns].reshape(len(units), self.inside.shape[1])

    @cached_property
    def _candidates(self) -> np.ndarray:
        """`[units, candidates]` positions that see most of each unit's energy, the best first."""
        count = min(_CANDIDATES, self.places)
        found = [
            np.argsort(-self._seen(units), axis=1, kind="stable")[:, :count].astype(np.int32)
            for units in self._chunks(np.arange(len(self.images)))
        ]
        return np.concatenate(found)

    def _seen(self, units: np.ndarray) -> np.ndarray:
        """`[units, places]` energy inside each window."""
        energy = (self.images[units].astype(np.float64) ** 2).sum(1)
        for d, axis in enumerate(self.geometry.axes, start=1):
            edges = ((0, 0),) * d + ((axis.before + 1, axis.after),) + ((0, 0),) * (2 - d)
            sums = np.moveaxis(np.pad(energy, edges).cumsum(d), d, -1)
            boxes = (sums[..., axis.kernel :] - sums[..., : -axis.kernel])[..., :: axis.stride]
            energy = np.moveaxis(boxes, -1, d)
        return energy.reshape(len(units), -1)

    def _central(self, rng: np.random.Generator) -> np.ndarray:
        """Units for first templates: those whose centre of energy is so far inside that no template is cut there."""
        chosen = self.alive
        if len(chosen) > 4 * _SAMPLE:
            chosen = np.sort(rng.choice(chosen, 4 * _SAMPLE, replace=False))
        best = self._candidates[chosen, 0]
        rows, columns = np.divmod(best, self.geometry.out_spatial[1])
        margin = np.full(len(chosen), np.inf)
        squares = self._at(chosen, best).reshape(len(chosen), self.geometry.in_channels, -1) ** 2
        squares = squares.sum(1).reshape(-1, *(axis.kernel for axis in self.geometry.axes))
        for d, (axis, cell) in enumerate(zip(self.geometry.axes, (rows, columns), strict=True)):
            along = squares.sum(2 - d)
            centre = cell * axis.stride - axis.before + _ratio(along @ np.arange(axis.kernel), along.sum(1))
            half = (axis.kernel - 1) / 2
            margin = np.minimum(margin, np.minimum(centre - half, axis.size - 1 - half - centre))
        central = chosen[margin >= 0]
        if len(central) < self.slots:  # images hardly larger than the kernel: the most central ones
            central = chosen[np.argsort(-margin, kind="stable")[: max(self.slots, len(chosen) // 2)]]
        return rng.permutation(central)[:_SAMPLE]

    def _scores(self, crops: np.ndarray, places: np.ndarray, templates: np.ndarray) -> np.ndarray:
        """`[units, candidates, templates]` energy of each unit that each template explains at each candidate."""
        visible = self.inside @ (templates**2).T  # [places, templates]
        weight = np.where(visible > _FAINT, 1 / np.maximum(visible, _FAINT), 0.0).astype(np.float32)
        return (crops @ templates.T) ** 2 * weight[places]

    def _gains(self, units: np.ndarray, template: np.ndarray) -> np.ndarray:
        """float64 `[units, places]` energy that a template explains of each unit at every place."""
        visible = self.inside @ template**2
        weight = np.where(visible > _FAINT, 1 / np.maximum(visible, _FAINT), 0.0)
        found = []
        for some in self._chunks(units):
            windows = self._windows(self.images[some].astype(np.float64)).reshape(len(some), self.places, -1)
            found.append((windows @ template) ** 2 * weight)
        return np.concatenate(found)

    def _chunks(self, units: np.ndarray) -> Iterator[np.ndarray]:
        return (units[i : i + _CHUNK] for i in range(0, len(units), _CHUNK))


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotient, 0 where the denominator is."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator, dtype=np.float64), where=denominator > 0)
