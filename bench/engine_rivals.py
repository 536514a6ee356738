"""What the native engine is held against: transformers' `generate` and CTranslate2, on the same requests."""

import torch


def ids_and_targets(workload):
    """The source ids and the forced numbers of new tokens of all requests."""
    generations = workload.generations(workload.num_requests, 1)
    return [list(each.source_ids) for each in generations], [
        each.decoding.max_new_tokens for each in generations
    ]


@torch.inference_mode()
def generate(model, requests, num_beams):
    """One batch by transformers."""
    longest = max(len(ids) for ids, _ in requests)
    pad = model.config.pad_token_id
    ids = torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in requests])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in requests])
    target = max(target for _, target in requests)
    model.generate(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        num_beams=num_beams,
        do_sample=False,
        min_new_tokens=target,
        max_new_tokens=target,
        forced_bos_token_id=None,
        forced_eos_token_id=None,
    )
    if model.device.type == "cuda":
        torch.cuda.synchronize()


def translate(translator, requests, num_beams):
    """One batch by CTranslate2."""
    target = max(target for _, target in requests)
    translator.translate_batch(
        [[f"t{token}" for token in ids] for ids, _ in requests],
        beam_size=num_beams,
        min_decoding_length=target,
        max_decoding_length=target,
        max_batch_size=len(requests),
    )


def convert(model, folder):
    """The random model in CTranslate2's format, with a made-up vocabulary."""
    from ctranslate2.converters import transformers as converters

    model.config.normalize_before = False
    loader = converters._MODEL_LOADERS[type(model.config).__name__]
    spec = loader.get_model_spec(model)
    size = spec.encoder.embeddings[0].weight.shape[0]
    loader.set_vocabulary(spec, [f"t{number}" for number in range(size)])
    for name in ("bos_token", "eos_token", "unk_token", "decoder_start_token"):
        setattr(spec.config, name, "t2")
    spec.validate()
    spec.optimize(quantization=None)
    spec.save(folder)
