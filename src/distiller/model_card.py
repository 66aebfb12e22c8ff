"""What a student's folder says about itself: a model card as the hub shows it."""

import json
import re
from pathlib import Path
from typing import Any

SCORES = {
    "selection_accuracy": "accuracy",
    "pair_f1": "pair F1",
    "match_f1": "match F1",
    "end_to_end_f1": "end-to-end F1",
}


#: Licences of the base models that the configuration names, as the hub spells them.
LICENCES = {
    "sentence-transformers/all-MiniLM-L6-v2": "apache-2.0",
    "FacebookAI/roberta-base": "mit",
    "Qwen/Qwen2.5-0.5B-Instruct": "apache-2.0",
    "Qwen/Qwen2.5-1.5B-Instruct": "apache-2.0",
    "Qwen/Qwen2.5-7B-Instruct": "apache-2.0",
    "meta-llama/Llama-3.2-1B-Instruct": "llama3.2",
    "meta-llama/Llama-3.1-8B-Instruct": "llama3.1",
}
#: An id on the hub; a local path has another form, or says nothing to others.
ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def text(recipe: dict[str, Any]) -> str:
    """README.md of a student's folder: front matter for the hub, then what it is, what taught it, scores, use, licence."""
    about, model = recipe["about"], recipe["student"].get("model")
    base = model if model and ID.fullmatch(model) and not Path(model).is_dir() else None
    kind = recipe["student"]["_target_"].rsplit(".", 1)[-1]
    # Datasets are told in the text: `datasets` of the front matter are ids on the hub, and these are none.
    front: dict[str, Any] = {"library_name": "distiller-er", "tags": ["entity-resolution", "record-linkage"]}
    if base:
        front |= {"license": LICENCES[base]} if base in LICENCES else {}
        front |= {
            "base_model": base,
            "base_model_relation": "adapter" if recipe["student"].get("rank") else "finetune",
        }
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in front.items()), "---", ""]
    lines += [f"# {kind}, taught by {about['teacher']}", ""]
    lines += [
        "A student of entity resolution: it tells which records of two tables mean the same thing. It learnt from the noisy "
        f"labels of the teacher `{about['teacher']}`, through `{about['algorithm']}`, on:",
        "",
        *(
            f"* {name}: {data['queries']:,} queries, {data['candidates']:,} candidates, {data['labels']:,} queries labelled"
            for name, data in about["datasets"].items()
        ),
        "",
    ]
    if about["uses_gold"]:
        lines += [f"Gold matches were read by: {', '.join(about['uses_gold'])}.", ""]
    lines += [*_scores(about), *_use(recipe), "## Licence", ""]
    if model:
        known = f" ({LICENCES[base]})" if base in LICENCES else ""
        lines.append(
            f"The weights derive from `{base or Path(model).name}`; its licence{known} holds for them, also for what may be done "
            "with them."
        )
    lines += [
        f"Made from the answers of `{about['teacher']}`: the terms of the teacher's model or service, and those of the data, may "
        "restrict their use.",
        "",
    ]
    return "\n".join(lines)


def _scores(about: dict[str, Any]) -> list[str]:
    if not about["scores"]:
        return ["## Scores", "", "Not scored: no gold matches are known for this data.", ""]
    head = [
        "## Scores",
        "",
        f"On queries that were not labelled (protocol {about['protocol']}), seed {about['seed']}:",
        "",
    ]
    table = ["| | " + " | ".join(SCORES.values()) + " |", "|---" * (len(SCORES) + 1) + "|"]
    rows = [
        f"| {form.replace('_', '-')} | " + " | ".join(f"{scores[m]:.3f}" if m in scores else "" for m in SCORES) + " |"
        for form, scores in about["scores"].items()
    ]
    return [*head, *table, *rows, ""]


def _use(recipe: dict[str, Any]) -> list[str]:
    about = recipe["about"]
    note = (
        ["It was taught on candidates recorded with its data; on other tables it blocks by character n-grams.", ""]
        if about["recorded_candidates"]
        else []
    )
    return [
        "## Use",
        "",
        "    distiller match THIS_FOLDER queries.csv candidates.csv -o matches.csv",
        "",
        "or in Python, with pandas, polars or Arrow tables:",
        "",
        "    import distiller",
        '    matches = distiller.load("THIS_FOLDER").match(queries, candidates)',
        "",
        *note,
        "Its probabilities are those of tables like the ones it learnt from; on others, look at some answers before you trust "
        "them.",
        "",
    ]
