"""Networks of the package transformers, built from small configs: random weights, nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers
from architectures import CLASSES, Architecture, Make, floats, tokens
from torch import nn


def _build(name: str, **settings: Any) -> Callable[[], nn.Module]:
    """A model by the name of its class, from the config that the class asks for."""

    def build() -> nn.Module:
        kind = getattr(transformers, name)
        config = kind.config_class(num_labels=CLASSES, **settings)
        return kind._from_config(config, attn_implementation="eager") if hasattr(kind, "_from_config") else kind(config)

    return build


def _of(family: str, model: str, inputs: Make, **settings: Any) -> Architecture:
    return Architecture(family, model, _build(model, **settings), inputs)


BERT = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
BERT |= {"max_position_embeddings": 16, "pad_token_id": 0}
VIT = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
VIT |= {"image_size": 8, "patch_size": 4, "num_channels": 1}
LLAMA = {**BERT, "num_key_value_heads": 1, "head_dim": 4, "bos_token_id": 1, "eos_token_id": 2}
WORDS, IMAGE, SOUND = tokens(6), floats(1, 8, 8), floats(400)
HEARD = {**BERT, "conv_dim": (4, 4), "conv_stride": (5, 4), "conv_kernel": (10, 8), "num_feat_extract_layers": 2}
HEARD |= {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 6}
SPOKEN = {"vocab_size": 20, "d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2}
SPOKEN |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "pad_token_id": 0}
SERIES = {"context_length": 16, "patch_length": 4, "patch_stride": 4, "d_model": 8, "num_input_channels": 2}


def _clip(count: int) -> tuple[torch.Tensor, ...]:
    return torch.randint(3, 20, (count, 6)), torch.randn(count, 1, 8, 8)


def _clip_model() -> nn.Module:
    words = {**BERT, "eos_token_id": 2, "bos_token_id": 1, "projection_dim": 4}
    config = transformers.CLIPConfig(text_config=words, vision_config={**VIT, "projection_dim": 4}, projection_dim=4)
    return transformers.CLIPModel(config)


TRANSFORMERS = [
    _of("BERT", "BertForSequenceClassification", WORDS, **BERT),
    _of("BERT", "RobertaForMaskedLM", WORDS, **BERT),
    _of(
        "BERT",
        "DistilBertForSequenceClassification",
        WORDS,
        vocab_size=20,
        dim=8,
        n_layers=2,
        n_heads=2,
        hidden_dim=16,
        max_position_embeddings=16,
    ),
    _of("BERT", "AlbertForSequenceClassification", WORDS, **BERT, embedding_size=6),
    _of("BERT", "ElectraForPreTraining", WORDS, **BERT, embedding_size=6),
    _of("GPT", "GPT2LMHeadModel", WORDS, vocab_size=20, n_positions=16, n_embd=8, n_layer=2, n_head=2),
    _of("GPT", "GPTNeoXForCausalLM", WORDS, **BERT),
    _of(
        "GPT",
        "BloomForSequenceClassification",
        WORDS,
        vocab_size=20,
        hidden_size=8,
        n_layer=2,
        n_head=2,
        pad_token_id=0,
    ),
    _of("Llama", "LlamaForCausalLM", WORDS, **LLAMA),
    _of("Llama", "Qwen2ForSequenceClassification", WORDS, **LLAMA),
    _of("Llama", "Gemma2ForCausalLM", WORDS, **LLAMA),
    _of("Llama", "MixtralForCausalLM", WORDS, **LLAMA, num_local_experts=3),
    _of(
        "sequence to sequence",
        "T5ForSequenceClassification",
        lambda n: (torch.cat([torch.randint(3, 20, (n, 5)), torch.ones(n, 1, dtype=torch.long)], 1),),
        vocab_size=20,
        d_model=8,
        d_kv=4,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
    ),
    _of("sequence to sequence", "BartModel", WORDS, **SPOKEN, max_position_embeddings=16, decoder_start_token_id=2),
    _of("state space", "MambaForCausalLM", WORDS, vocab_size=20, hidden_size=8, state_size=4, num_hidden_layers=2),
    _of("state space", "RwkvForCausalLM", WORDS, vocab_size=20, context_length=16, hidden_size=8, num_hidden_layers=2),
    _of("sparse or spectral attention", "FNetForSequenceClassification", WORDS, **BERT),
    _of(
        "sparse or spectral attention",
        "NystromformerForSequenceClassification",
        WORDS,
        **BERT,
        num_landmarks=2,
        segment_means_seq_len=6,
    ),
    _of("sparse or spectral attention", "LongformerForSequenceClassification", tokens(8), **BERT, attention_window=4),
    _of("vision transformer", "ViTForImageClassification", IMAGE, **VIT),
    _of("vision transformer", "BeitForImageClassification", IMAGE, **VIT),
    _of("vision transformer", "Dinov2ForImageClassification", IMAGE, **VIT),
    _of(
        "vision transformer",
        "SwinForImageClassification",
        floats(1, 16, 16),
        image_size=16,
        patch_size=2,
        num_channels=1,
        embed_dim=8,
        depths=[2, 1],
        num_heads=[2, 2],
        window_size=4,
    ),
    _of(
        "vision transformer",
        "SegformerForSemanticSegmentation",
        floats(1, 16, 16),
        num_channels=1,
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[2, 1],
        hidden_sizes=[4, 8],
        patch_sizes=[3, 3],
        strides=[2, 2],
        num_attention_heads=[1, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=8,
    ),
    _of(
        "convolution of transformers",
        "ConvNextForImageClassification",
        floats(1, 16, 16),
        num_channels=1,
        patch_size=2,
        hidden_sizes=[4, 8],
        depths=[1, 1],
        num_stages=2,
    ),
    _of(
        "convolution of transformers",
        "ResNetForImageClassification",
        floats(1, 16, 16),
        num_channels=1,
        embedding_size=4,
        hidden_sizes=[4, 8],
        depths=[1, 1],
    ),
    _of(
        "convolution of transformers",
        "RegNetForImageClassification",
        floats(1, 16, 16),
        num_channels=1,
        embedding_size=4,
        hidden_sizes=[4, 8],
        depths=[1, 1],
        groups_width=4,
    ),
    _of(
        "convolution of transformers",
        "BitForImageClassification",
        floats(1, 16, 16),
        num_channels=1,
        embedding_size=4,
        hidden_sizes=[4, 8],
        depths=[1, 1],
        num_groups=2,
    ),
    _of(
        "hybrid of convolution and attention",
        "PoolFormerForImageClassification",
        floats(1, 16, 16),
        num_channels=1,
        depths=[1, 1],
        hidden_sizes=[4, 8],
        patch_sizes=[3, 3],
        strides=[2, 2],
        padding=[1, 1],
        num_encoder_blocks=2,
    ),
    _of(
        "hybrid of convolution and attention",
        "FocalNetForImageClassification",
        floats(1, 16, 16),
        image_size=16,
        num_channels=1,
        patch_size=2,
        embed_dim=4,
        hidden_sizes=[4, 8],
        depths=[1, 1],
        focal_levels=[1, 1],
        focal_windows=[3, 3],
    ),
    _of("speech", "Wav2Vec2ForSequenceClassification", SOUND, **HEARD),
    _of("speech", "HubertForSequenceClassification", SOUND, **HEARD),
    _of(
        "speech",
        "WhisperForAudioClassification",
        floats(4, 16),
        **SPOKEN,
        num_mel_bins=4,
        max_source_positions=8,
        classifier_proj_size=6,
    ),
    _of(
        "speech",
        "ASTForAudioClassification",
        floats(16, 8),
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        patch_size=4,
        max_length=16,
        num_mel_bins=8,
        frequency_stride=4,
        time_stride=4,
    ),
    Architecture("text and image", "CLIPModel", _clip_model, _clip),
    _of(
        "time series",
        "PatchTSTForPrediction",
        floats(16, 2),
        **SERIES,
        num_hidden_layers=1,
        num_attention_heads=2,
        ffn_dim=16,
        prediction_length=4,
    ),
    _of("time series", "PatchTSMixerForPrediction", floats(16, 2), **SERIES, num_layers=1, prediction_length=4),
]
