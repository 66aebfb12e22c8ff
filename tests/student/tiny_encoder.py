"""Tiny encoders with random weights and tokenizers trained on the spot: real checkpoints, no download.

`from tiny_encoder import tiny_encoder` works from the tests beside this file.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

_SENTENCES = [
    "COL name VAL sony cyber-shot digital camera dsc-w120 silver COL price VAL 149.99 COL description VAL 7.2 megapixel",
    "COL title VAL a query optimizer for distributed databases COL authors VAL m. stone, l. wang COL year VAL 1999",
    "COL first name VAL emily COL surname VAL harris COL street VAL 12 elm road COL postcode VAL 2650 COL born VAL 19790411",
    "name: acme cordless drill 18 v, 2 batteries; saw 70, hammer, nails, screws 10 mm",
    "0 1 2 3 4 5 6 7 8 9 10 100 2010 2011 1987",
]


def tiny_encoder(
    folder: Path | str,
    architecture: Literal["bert", "roberta"] = "bert",
    texts: Sequence[str] = (),
    seed: int = 0,
    hidden: int = 32,
    layers: int = 1,
    vocabulary: int = 600,
    positions: int = 256,
) -> Path:
    """The folder, now with a model and its tokenizer; the same arguments give the same files.

    BERT adds three special tokens to a pair and has token types, RoBERTa adds four and has none. vocabulary: the most
    that the tokenizer learns, from the sentences of this file and from `texts`. positions: tokens that it reads at once.
    """
    import torch
    from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

    tokenizer = (_wordpiece if architecture == "bert" else _byte_level)([*_SENTENCES, *texts], vocabulary, positions)
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "pad_token_id": tokenizer.pad_token_id,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.1,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if architecture == "bert":
            model: torch.nn.Module = BertModel(BertConfig(**shape, max_position_embeddings=positions))
        else:
            # As in the published checkpoints, positions are counted from behind the padding token, and there is one type.
            behind = positions + tokenizer.pad_token_id + 1
            model = RobertaModel(RobertaConfig(**shape, max_position_embeddings=behind, type_vocab_size=1))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Path(folder)


def _wordpiece(texts, vocabulary, positions):
    """Lower-cased words in pieces, `[CLS] a [SEP] b [SEP]` with types 0 and 1."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    core = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer()
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=vocabulary, special_tokens=special, show_progress=False)
    )
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, core.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=positions,
    )


def _byte_level(texts, vocabulary, positions):
    """Bytes merged into pieces that carry the blank before them, `<s> a </s></s> b </s>` with one type."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    core.post_processor = processors.RobertaProcessing(
        ("</s>", core.token_to_id("</s>")), ("<s>", core.token_to_id("<s>")), add_prefix_space=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        mask_token="<mask>",
        model_max_length=positions,
    )
