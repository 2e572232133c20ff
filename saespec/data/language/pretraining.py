"""Training of a small language model by `transformers.Trainer`: batches by step, a curve, snapshots that resume.

Imported only when a model is trained, for `transformers` takes seconds.

Legend: C contexts, T tokens of a context, B contexts in a batch, V vocabulary.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, SequentialSampler
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from saespec.errors import Interrupted
from saespec.results.atomic import write_bytes
from saespec.spec.transformer import TrainedModel

SNAPSHOT_SECONDS = 60.0
"""Time between snapshots: what a killed training loses at most."""

PROGRESS = "progress.json"
"""Written last into a snapshot's folder: one without it is not whole."""

CURVE_POINTS = 16
"""Points of the curve, evenly spaced; before the first one are four more, each at half the steps of the next."""

CURVE_TOKENS = 2**15
"""Held-out tokens of a point of the curve, about: contexts evenly spread, for neighbours are of one document."""

LOGITS = 2**24
"""Logits that evaluation holds at once, about."""

Report = Callable[[int, int, float], None]


def train(
    model: PreTrainedModel,
    config: TrainedModel,
    train_CT: NDArray[np.int32],
    held_out_CT: NDArray[np.int32],
    folder: Path,
    device: torch.device,
    report: Report,
    stop: Callable[[], bool],
) -> list[dict[str, float]]:
    """Train the model in place and return its curve; continue from the snapshots in `folder` if there are any.

    A point of the curve has step, tokens, loss (mean since the last point), held_out_cross_entropy and lr.
    Raises Interrupted once `stop()` is true, with a snapshot taken.
    """
    watch = _Watch(config, held_out_CT, report, stop)
    trainer = _Trainer(
        model=model,
        args=_arguments(config, folder, device),
        train_dataset=_Batches(train_CT, steps(config) * config.train.batch, config.seed),
        data_collator=_collate,
        callbacks=[watch],
    )
    trainer.watch = watch
    trainer.remove_callback(transformers.PrinterCallback)
    snapshot = _newest_snapshot(folder)
    if snapshot is not None:
        watch.resume(snapshot)
    # The random state is for dropout alone: batches and weights are functions of the seed.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        trainer.train(resume_from_checkpoint=str(snapshot) if snapshot else None)
    if trainer.state.global_step < steps(config):
        raise Interrupted
    return watch.curve


def steps(config: TrainedModel) -> int:
    """Steps of the training: as many whole batches as hold the tokens that the spec asks for."""
    return -(-config.train.tokens // (config.train.batch * config.context))


@torch.no_grad()
def cross_entropy(model: PreTrainedModel, ids_CT: NDArray[np.int32]) -> float:
    """Mean cross-entropy of each token but a context's first, nats a token."""
    contexts, length = ids_CT.shape
    size = max(1, LOGITS // (length * model.config.vocab_size))
    was_training = model.training
    model.train(False)
    total = 0.0
    for start in range(0, contexts, size):
        ids_BT = torch.from_numpy(ids_CT[start : start + size].astype(np.int64)).to(model.device)
        logits_BTV = model(input_ids=ids_BT).logits[:, :-1].float()
        total += torch.nn.functional.cross_entropy(
            logits_BTV.flatten(0, 1), ids_BT[:, 1:].flatten(), reduction="sum"
        ).item()
    model.train(was_training)
    return float(total / (contexts * (length - 1)))


def _arguments(config: TrainedModel, folder: Path, device: torch.device) -> TrainingArguments:
    on_cpu = device.type == "cpu"
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps(config),
        per_device_train_batch_size=config.train.batch,
        learning_rate=config.train.lr,
        lr_scheduler_type="cosine",
        warmup_steps=round(config.train.warmup * steps(config)),
        weight_decay=config.train.weight_decay,
        adam_beta2=config.train.beta2,
        max_grad_norm=config.train.clip,
        optim="adamw_torch_fused",
        seed=config.seed,
        bf16=not on_cpu and torch.cuda.is_bf16_supported(),
        use_cpu=on_cpu,
        dataloader_pin_memory=not on_cpu,
        save_strategy="no",  # the watch says when
        save_total_limit=2,
        logging_strategy="no",
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to="none",
    )
    if not on_cpu:
        _ = arguments.device
        arguments._n_gpu = 1  # else it would spread the batch over every GPU of the machine
    return arguments


class _Trainer(transformers.Trainer):
    """The Trainer, with batches in the data's own order and an eye on each loss."""

    watch: _Watch

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return SequentialSampler(train_dataset)

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        loss: Tensor = super().training_step(*args, **kwargs)
        self.watch.loss = float(loss)
        return loss


class _Watch(TrainerCallback):
    """Reports, takes the curve's points, and asks for snapshots."""

    def __init__(
        self, config: TrainedModel, held_out_CT: NDArray[np.int32], report: Report, stop: Callable[[], bool]
    ) -> None:
        self.steps = steps(config)
        self.tokens = config.train.batch * config.context
        self.points = curve_steps(self.steps)
        self.held_out_CT = held_out_CT[:: max(1, held_out_CT.size // CURVE_TOKENS)]
        self.report, self.stop = report, stop
        self.curve: list[dict[str, float]] = []
        self.loss = 0.0
        """Of the step that is under way."""
        self.losses: list[float] = []
        """Since the curve's last point."""
        self.saved = time.monotonic()

    def resume(self, snapshot: Path) -> None:
        progress = json.loads((snapshot / PROGRESS).read_bytes())
        self.curve, self.losses = progress["curve"], progress["losses"]

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        step = state.global_step
        self.losses.append(self.loss)
        if step in self.points:
            self.curve.append(
                {
                    "step": step,
                    "tokens": step * self.tokens,
                    "loss": sum(self.losses) / len(self.losses),
                    "held_out_cross_entropy": cross_entropy(kwargs["model"], self.held_out_CT),
                    "lr": kwargs["lr_scheduler"].get_last_lr()[0],
                }
            )
            self.losses = []
        self.report(step, self.steps, self.loss)
        stopped = step < self.steps and self.stop()
        if stopped or time.monotonic() - self.saved >= SNAPSHOT_SECONDS:
            control.should_save = True
        if stopped:
            control.should_training_stop = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        write_bytes(folder / PROGRESS, json.dumps({"curve": self.curve, "losses": self.losses}).encode())
        self.saved = time.monotonic()


def curve_steps(steps: int) -> set[int]:
    """The steps after which the curve has a point."""
    even = [round(steps * i / CURVE_POINTS) for i in range(1, CURVE_POINTS + 1)]
    early = [round(steps / CURVE_POINTS / 2**i) for i in range(1, 5)]
    return {step for step in (*even, *early) if step > 0}


def _newest_snapshot(folder: Path) -> Path | None:
    """The newest whole snapshot; what a killed run left half-written is removed."""
    whole: dict[int, Path] = {}
    for path in folder.glob("checkpoint-*"):
        if (path / PROGRESS).exists():
            whole[int(path.name.partition("-")[2])] = path
        else:
            shutil.rmtree(path)
    return whole[max(whole)] if whole else None


class _Batches(Dataset[NDArray[np.int64]]):
    """Contexts in the order of training: in each pass over them all, a permutation by (seed, pass)."""

    def __init__(self, ids_CT: NDArray[np.int32], number: int, seed: int) -> None:
        self.ids_CT, self.number, self.seed = ids_CT, number, seed
        self._pass = -1
        self._order_C = np.arange(0)

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: int) -> NDArray[np.int64]:
        lap, at = divmod(index, len(self.ids_CT))
        if lap != self._pass:
            generator = np.random.Generator(np.random.Philox(key=[self.seed, lap]))
            self._pass, self._order_C = lap, generator.permutation(len(self.ids_CT))
        row_T: NDArray[np.int64] = self.ids_CT[self._order_C[at]].astype(np.int64)
        return row_T


def _collate(rows: Sequence[NDArray[np.int64]]) -> dict[str, Tensor]:
    ids_BT = torch.from_numpy(np.stack(rows))
    return {"input_ids": ids_BT, "labels": ids_BT}
