"""A tiny Whisper with random weights, in the folder format of faster-whisper."""

from pathlib import Path

import torch
from ctranslate2.converters.transformers import WhisperLoader
from faster_whisper.tokenizer import _LANGUAGE_CODES
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import WhisperConfig, WhisperForConditionalGeneration

STEPS = 1501
"""Times that Whisper can name: every fiftieth of half a minute."""


def save_whisper(folder: Path) -> Path:
    """One layer on either side that spells in bytes; what it says means nothing, and it counts as English."""
    torch.manual_seed(0)
    folder.mkdir(parents=True)
    tokenizer = _tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    end = tokenizer.token_to_id("<|endoftext|>")
    config = WhisperConfig(
        vocab_size=tokenizer.get_vocab_size(), d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=1, decoder_attention_heads=1, encoder_ffn_dim=16, decoder_ffn_dim=16,
        decoder_start_token_id=end + 1, eos_token_id=end, bos_token_id=end, pad_token_id=end,
    )  # fmt: skip
    loader = WhisperLoader()
    spec = loader.get_model_spec(WhisperForConditionalGeneration(config))
    known = tokenizer.get_vocab()
    spec.register_vocabulary(sorted(known, key=known.__getitem__))
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [end]
    spec.config.alignment_heads = [(0, 0)]
    spec.config.lang_ids = [known[f"<|{code}|>"] for code in _LANGUAGE_CODES]
    spec.validate()
    spec.optimize(quantization=None)
    spec.save(str(folder))
    return folder


def _tokenizer() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: n for n, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    codes = [f"<|{code}|>" for code in _LANGUAGE_CODES]
    orders = ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"]
    stamps = [f"<|{n * 0.02:.2f}|>" for n in range(STEPS)]
    special = ["<|endoftext|>", "<|startoftranscript|>", *codes, *orders, "<|notimestamps|>", *stamps]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    return tokenizer
