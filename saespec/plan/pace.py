"""How long work takes on the benchmark machine: two cores of an AMD EPYC (Zen 4), two threads of torch.

Estimates are sums of these few terms; what a machine's own runs took scales them (`results/speed.py`). Where a
docstring names a table, that is one of `benchmarks/results/`, and `docs/speed.md` shows it; "by hand" is a shorter
measurement on the same machine.
"""

from __future__ import annotations

from saespec.spec.baselines import Baseline, IcaSAE, PcaSAE
from saespec.spec.spec import CellConfig, Data
from saespec.spec.toy import RandomCorrelation, ToyData
from saespec.spec.train import Train
from saespec.spec.transformer import TrainedModel, TransformerData

from .inputs import parameters, vocabulary

PRODUCT = {"float32": 1 / 175e9, "bfloat16": 1 / 400e9}
"""A floating-point operation of a product, in s: `throughput`, the products alone at d=256. Sparse products count as
dense ones: how sparse a cell becomes is not known before, and dense ones are taken until it is."""

NARROW, NARROW_CODE, MANY = 16, 1.2e-9, 1024
"""float32 products of vectors of fewer dimensions than NARROW take so long a code, whatever the dimensions: they wait
for the codes; of dictionaries of at least MANY latents twice as long. By hand, at d=2 to 12, 64 to 4,096 latents."""

CODE = 1.4e-9
"""A code's activation, penalty, gradient and sums, in s: fitted to `scaling` and `throughput`, as are the next two."""

PARAMETER = 1.2e-9
"""A weight's Adam step, which moves 28 bytes, and its share of rescaling the dictionary, in s."""

INPUT = 0.75e-9
"""A number of a cell's input and reconstruction, in s; once more where cells have noise of their own."""

NONLINEARITY = {"prolu": 1e-9, "topk": 2.4e-9, "batch_topk": 3e-9, "jumprelu": 5e-9, "gated": 3.5e-9}
"""What a code takes beside a ReLU's, in s: `architectures`, dense, less what `relu` takes, as are the next three."""

PENALTY = {"sqrt": 3e-9, "tanh": 6e-9}
"""What a code takes beside an L1 penalty's, in s."""

GATE_PRODUCTS = 2
"""Products by which a gate reconstructs, and learns of it, beside a step's five."""

AUXILIARY = 2e-9
"""What a code takes of an auxiliary loss of which few latents are dead, in s; more while many are."""

NESTED = 9e-9
"""What a code takes where dictionaries are nested, in s."""

STEP = 60e-6
"""A step of a stack however small it is, in s: the calls themselves. From `scaling`."""

DRAWN = 8e-9
"""A toy feature's activity and coefficient in a sample, in s, beside the product: `data`, drawn per batch."""

DRAWN_BY_SAMPLE = 18e-9
"""What its probability adds where it is drawn for each sample: `data`."""

NORMAL = 10e-9
"""A normally distributed number, such as of noise, in s: by hand, by the generator that DRAWN has too."""

BATCH = 60e-6
"""A batch however small it is, in s: `data`."""

READ = 1.6e-9
"""A number of a batch from the activation store, in s: `store`, reading alone."""

FIT = 1 / 20e9
"""A floating-point operation of a baseline's fit, in s: float64, one thread. By hand."""

ICA_NUMBER = 10e-9
"""A vector's share in an iteration of FastICA for one component, in s: by hand. It takes half of its iterations."""

TRAINED_TOKEN = 2.4e-6
"""Training a block of a language model on a token, without its products, in s. From the two models of the specs, of
widths 16 and 32, which took 288 s and 344 s; how it divides between this and LOGIT by hand."""

LOGIT = 3.6e-9
"""Training on a logit, in s: cross-entropy and its gradient."""

PASSED_NUMBER = 58e-9
"""Passing a token through a block, for each dimension of its residual stream, without products, in s: `extraction`."""

TOKENISED = 2.2e-6
"""Tokenising and hashing a token's text, in s: `extraction`, the whole beside its forward passes."""

STORED_BYTE = 1e-9
"""Hashing and writing a byte of activations beside the forward pass, in s: by hand."""

CORPUS = 4.0
"""Reading and hashing a corpus of 60 MB, in s: by hand, the sources of torch and transformers."""

TOKENIZER = 8.0
"""Training a tokenizer on it, in s: by hand."""

MEASURED_CODE = 3.2e-9
"""A code's sums over held-out batches, without products, in s: by hand, the measures of the four toy specs."""

PREDICTED_LOGIT = 5e-9
"""A logit of a forward pass, its log-probability and divergence, in s: by hand, `language_model`."""

SEARCHED = 80e-9
"""A held-out code among which a latent's top examples are sought, in s: by hand, sorting 262,144 of them."""

STAGE = 2.5
"""A stage's start and end, in s: importing torch, and what DVC does for it. By hand, within a cold run of toy_mmcs."""

FIGURE = 0.2
"""Drawing a figure, in s: by hand."""


def products(config: CellConfig, number: int, precision: str = "float32") -> float:
    """Seconds a code of so many of a step's five products: two operations a dimension each."""
    dim, latents = config.data.dim, config.sae.latents
    least = 0.0
    if dim < NARROW and precision == "float32":
        least = NARROW_CODE * (2 if latents >= MANY else 1) * number / 5
    return max(2 * number * dim * PRODUCT[precision], least)


def step(config: CellConfig, cells: int, stacks: int = 1) -> float:
    """Seconds of a step of equally shaped cells, in so many stacks, their batches drawn."""
    train, dim, latents = config.train, config.data.dim, config.sae.latents
    rows = max(cells, 2)  # a single cell has an idle neighbour: see `sae/stack.py`
    multiplied = products(config, 5 + GATE_PRODUCTS * (config.sae.kind == "gated"), train.precision)
    codes = train.batch * latents * (multiplied + CODE + pieces(config))
    inputs = train.batch * dim * INPUT * (2 if train.input_noise else 1)
    return STEP * stacks + rows * (codes + 2 * dim * latents * PARAMETER + inputs)


def pieces(config: CellConfig) -> float:
    """Seconds a code of what a ReLU with an L1 penalty does without."""
    loss = config.loss
    seconds = NONLINEARITY.get(config.sae.kind, 0.0) + PENALTY.get(loss.sparsity.kind, 0.0)
    return seconds + AUXILIARY * (loss.auxiliary.kind != "none") + NESTED * (loss.prefixes > 1)


def batch(data: Data, train: Train) -> float:
    """Seconds of a batch of a data section, which all cells of a stage that name it share."""
    size, dim = train.batch, data.dim
    white = NORMAL * size * dim
    seconds = BATCH + (white if train.input_noise else 0.0)
    if not isinstance(data, ToyData):
        return seconds + READ * size * dim
    by_sample = isinstance(data.correlation, RandomCorrelation) and data.correlation.draw == "sample"
    drawn = DRAWN + (DRAWN_BY_SAMPLE if by_sample else 0.0)
    seconds += size * data.features * (drawn + 2 * dim * PRODUCT["float32"])
    return seconds + white * ((data.jitter > 0) + (data.background_noise > 0))


def fit(config: CellConfig) -> float:
    """Seconds of fitting a baseline to all its batches."""
    assert isinstance(config.sae, Baseline)
    dim, latents, steps = config.data.dim, config.sae.latents, config.train.steps
    vectors = steps * config.train.batch
    seconds = steps * batch(config.data, config.train)
    if isinstance(config.sae, IcaSAE):
        return seconds + ICA_NUMBER * vectors * latents * config.sae.iterations / 2
    if isinstance(config.sae, PcaSAE):
        return seconds + FIT * 2 * vectors * dim**2
    return seconds + FIT * 2 * vectors * latents * (2 * dim + latents)


def model(config: TrainedModel) -> float:
    """Seconds of training a language model, its tokenizer and text included."""
    multiplied = 6 * parameters(config) * PRODUCT["float32"]
    token = TOKENISED + config.layers * TRAINED_TOKEN + vocabulary(config) * LOGIT + multiplied
    return CORPUS + TOKENIZER + config.train.tokens * token


def passed(config: TrainedModel, blocks: int) -> float:
    """Seconds of a token in a forward pass of so many blocks."""
    multiplied = 2 * (4 * config.width**2 + 2 * config.width * config.mlp) * PRODUCT["float32"]
    return blocks * (PASSED_NUMBER * config.width + multiplied)


def extraction(config: TrainedModel, data: TransformerData, blocks: int, stored_bytes: int) -> float:
    """Seconds of extracting activations from a model up to some block, text included."""
    tokens = data.tokens + data.held_out_tokens
    return CORPUS + tokens * (TOKENISED + passed(config, blocks)) + STORED_BYTE * stored_bytes


def predicted(config: TrainedModel) -> float:
    """Seconds of a token whose prediction is measured."""
    logit = PREDICTED_LOGIT + 2 * config.width * PRODUCT["float32"]
    return passed(config, config.layers) + vocabulary(config) * logit


def measured(config: CellConfig, cells: int, batches: int) -> float:
    """Seconds of encoding, decoding and summing so many held-out batches of equally shaped cells."""
    codes = cells * batches * config.train.batch * config.sae.latents
    return codes * (products(config, 2) + MEASURED_CODE)
