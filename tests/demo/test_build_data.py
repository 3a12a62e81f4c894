"""Corpus, tokenizer and model of the build: tokens carry the right labels, documents do not see each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from saewidgets.demo import world
from saewidgets.demo.build.corpus import Corpus, documents, encode, labelled, pack
from saewidgets.demo.build.evaluate import mean_loss
from saewidgets.demo.build.model import learning_rate, load_model, loss_of, new_model, save_model
from saewidgets.demo.build.settings import BOS_ID, FULL, PAD_ID, STREAMS, TINY, Settings, stream_seed
from saewidgets.demo.build.sites import Site, collect, read, replaced
from saewidgets.demo.build.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from saewidgets.index.concepts import ranges


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TINY)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return new_model(TINY).eval()


def test_every_word_of_the_indirect_object_prompts_is_one_token(tokenizer):
    assert all(len(tokenizer.encode(word).ids) == 1 for word in world.single_token_words())


def test_a_vocabulary_that_is_too_small_is_refused_with_the_words():
    with pytest.raises(ValueError, match=r"not one token.*raise vocab_size"):
        train_tokenizer(Settings(vocab_size=300, tokenizer_documents=1))


def test_training_the_tokenizer_twice_gives_the_same_file(tokenizer):
    assert train_tokenizer(TINY).to_str() == tokenizer.to_str()


def test_a_saved_tokenizer_reads_back_as_transformers_does(tokenizer, tmp_path):
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    save_tokenizer(tokenizer, tmp_path, 256)
    ours, theirs = load_tokenizer(tmp_path), PreTrainedTokenizerFast.from_pretrained(tmp_path)
    text = world.sample(1, 1)[0].text
    assert theirs.encode(text) == ours.encode(text).ids
    assert theirs.decode(ours.encode(text).ids) == text
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id) == (BOS_ID, BOS_ID, PAD_ID)
    assert set(theirs.all_special_ids) == {BOS_ID, PAD_ID}
    assert AutoTokenizer.from_pretrained(tmp_path).encode(text) == ours.encode(text).ids


def test_a_tokenizer_with_other_special_tokens_is_refused(tmp_path):
    from tokenizers import models

    Tokenizer(models.BPE()).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ValueError, match="special tokens"):
        load_tokenizer(tmp_path)


def test_no_two_purposes_share_a_stream_of_documents():
    seeds = {stream_seed(FULL, purpose, chunk) for purpose in STREAMS for chunk in range(500)}
    assert len(seeds) == 500 * len(STREAMS)


def test_a_corpus_holds_the_documents_of_its_stream_and_survives_saving(tokenizer, tmp_path):
    corpus = encode(TINY, "quality", 7, tokenizer)
    drawn = list(documents(TINY, "quality", 7))
    assert [tokenizer.decode(corpus.document(index).tolist()) for index in range(7)] == [doc.text for doc in drawn]
    np.testing.assert_allclose(corpus.log_prob, [doc.log_prob for doc in drawn])
    corpus.save(tmp_path / "corpus.npz")
    again = Corpus.load(tmp_path / "corpus.npz")
    assert np.array_equal(again.ids, corpus.ids)
    assert np.array_equal(again.starts, corpus.starts)


def test_the_tokens_of_a_label_cover_its_text_and_no_token_more(tokenizer):
    corpus, spans = labelled(TINY, "selection", 30, tokenizer)
    drawn = list(documents(TINY, "selection", 30))
    texts = [doc.text[start:end] for doc in drawn for start, end, _ in doc.spans]
    names = [name for doc in drawn for _, _, name in doc.spans]
    assert [world.concepts[number].name for number in spans.concept] == names
    for text, first, end in zip(texts, spans.first, spans.end, strict=True):
        covered = corpus.ids[first:end].tolist()
        assert text in tokenizer.decode(covered)
        assert text not in tokenizer.decode(covered[1:])
        assert text not in tokenizer.decode(covered[:-1])


def test_packing_places_every_document_once_and_whole():
    lengths = np.array([3, 5, 2, 7, 1, 4])
    ids = np.arange(2, 2 + lengths.sum()).astype(np.uint16)
    corpus = Corpus(ids, np.concatenate([[0], np.cumsum(lengths)]), np.zeros(6))
    rows, numbers = pack(corpus, 10, seed=0)
    found = [
        rows[row][numbers[row] == number].tolist()
        for row in range(len(rows))
        for number in range(1, numbers[row].max() + 1)
    ]
    assert sorted(found) == sorted([BOS_ID, *corpus.document(index).tolist()] for index in range(6))
    assert np.array_equal(numbers == 0, rows == PAD_ID)


def test_ranges_lists_numbers_and_their_range():
    numbers, owner = ranges(np.array([5, 0, 2]), np.array([7, 0, 3]))
    assert numbers.tolist() == [5, 6, 2]
    assert owner.tolist() == [0, 0, 2]


def test_packed_loss_is_the_mean_loss_of_the_documents_alone(model):
    documents_ = [[4, 5, 6, 7], [8, 9], [10, 11, 12]]
    row = [token for document in documents_ for token in [BOS_ID, *document]]
    numbers = [number for number, document in enumerate(documents_, 1) for _ in range(len(document) + 1)]
    packed = loss_of(model, torch.tensor([row + [PAD_ID] * 4]), torch.tensor([numbers + [0] * 4]))
    # Positions count from the start of the row, so each document alone stands behind as many other, hidden tokens.
    losses: list[float] = []
    for document in documents_:
        ids = torch.tensor([[3] * len(losses) + [BOS_ID, *document]])
        losses += _losses_alone(model, ids, len(losses))
    assert packed.item() == pytest.approx(sum(losses) / len(losses), abs=0.02)


def _losses_alone(model, ids, before):
    mask = torch.full((1, 1, ids.shape[1], ids.shape[1]), -1e9).triu(1)
    mask[:, :, before:, :before] = -1e9
    with torch.no_grad():
        logits = model.lm_head(model.transformer(ids, attention_mask=mask).last_hidden_state)[0, before:]
    following = torch.cat([ids[0, before + 1 :], torch.tensor([BOS_ID])])
    return torch.nn.functional.cross_entropy(logits, following, reduction="none").tolist()


def test_the_gradient_of_the_chunked_loss_is_that_of_plain_cross_entropy(model):
    ids = torch.randint(2, 2000, (2, 30), generator=torch.Generator().manual_seed(0))
    ids[:, 0] = BOS_ID
    numbers = torch.ones_like(ids)
    model.zero_grad()
    loss_of(model, ids, numbers).backward()
    ours = model.lm_head.weight.grad.clone()
    model.zero_grad()
    targets = torch.cat([ids[:, 1:], torch.zeros_like(ids[:, :1])], 1)
    plain = torch.nn.functional.cross_entropy(model(ids).logits.transpose(1, 2), targets)
    plain.backward()
    theirs = model.lm_head.weight.grad
    model.zero_grad()
    assert torch.nn.functional.cosine_similarity(ours.flatten(), theirs.flatten(), dim=0) > 0.999
    assert ours.norm() / theirs.norm() == pytest.approx(1.0, abs=0.02)


def test_the_learning_rate_rises_then_falls():
    settings = Settings(learning_rate=1.0, warmup_steps=10)
    rates = [learning_rate(step, 100, settings) for step in range(100)]
    assert rates[9] == pytest.approx(1.0)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.02


def test_a_saved_model_is_float16_on_disk_and_gives_the_same_logits(model, tmp_path):
    from safetensors.torch import load_file

    ids = torch.tensor([[BOS_ID, 5, 6, 7]])
    before = model(ids).logits
    save_model(model, tmp_path)
    assert {tensor.dtype for tensor in load_file(tmp_path / "model.safetensors").values()} == {torch.float16}
    again = load_model(tmp_path)
    assert again.dtype == torch.float32
    assert torch.allclose(again(ids).logits, before, atol=2e-2)


def test_reading_a_site_gives_the_models_own_activations(model, tokenizer):
    corpus = encode(TINY, "quality", 5, tokenizer)
    ids = torch.tensor([[BOS_ID, *corpus.document(2).tolist()]])
    hidden = model(ids, output_hidden_states=True).hidden_states
    heads, middle = read(model, ids, [Site("z", 1), Site("mid", 2)])
    assert torch.equal(middle, hidden[2])
    block = model.transformer.h[1]
    between = hidden[1] + block.attn.c_proj(heads)
    assert torch.allclose(between + block.mlp(block.ln_2(between)), hidden[2], atol=1e-5)
    (rows,) = collect(model, [Site("mid", 2)], corpus)
    expected = hidden[2][0, 1:].detach().numpy()
    np.testing.assert_allclose(rows[corpus.starts[2] : corpus.starts[3]], expected, atol=2e-3)


def test_a_replacement_acts_inside_the_block_only(model):
    ids = torch.tensor([[BOS_ID, 5, 6, 7]])
    before = model(ids).logits
    with replaced(model, Site("z", 1), torch.zeros_like):
        changed = model(ids).logits
    assert not torch.equal(changed, before)
    assert torch.equal(model(ids).logits, before)
    with replaced(model, Site("mid", 2), lambda x: x):
        assert torch.equal(model(ids).logits, before)


def test_the_mean_loss_is_that_of_each_document_alone(model, tokenizer):
    corpus = encode(TINY, "quality", 6, tokenizer)
    total, count = 0.0, 0
    for index in range(6):
        ids = torch.tensor([[BOS_ID, *corpus.document(index).tolist()]])
        targets = torch.cat([ids[0, 1:], torch.tensor([BOS_ID])])
        total += torch.nn.functional.cross_entropy(model(ids).logits[0], targets, reduction="sum").item()
        count += len(targets)
    assert mean_loss(model, corpus) == pytest.approx(total / count, rel=1e-5)
    spliced = mean_loss(model, corpus, Site("mid", 1), lambda x: x)
    assert spliced == pytest.approx(total / count, rel=1e-5)
