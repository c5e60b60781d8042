"""Vocabulary of the names of ELAN and Praat tiers, and of the values in tiers that hold no speech."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


WORDS = _set(
    "word words wd wds wrd wort worte wörter mot mots palabra palabras parola parole token tokens "
    "tokensalign tokenalign 字 词 詞 单词"
)
"""Words in the names of tiers that hold single words."""
SOUNDS = _set(
    "phon phonalign phontokenalign syllalign phonetization phonetisation momel intsint "
    "phone phones phoneme phonemes phonetic phonetics phn phns mau kan ipa sampa syllable syllables "
    "syll syl pinyin tone tones tobi pitch f0 intensity formant silence silences stress breakindex "
    "mora voicing vowel vowels"
)
"""Words in the names of tiers with units smaller than words."""
LABELS = _set(
    "emotion emotions emo affect feeling feelings mood sentiment sentiments valence arousal "
    "dominance polarity attitude stance gesture gestures gest gestural hand hands head gaze eye eyes "
    "eyebrow eyebrows brow face facial smile smiles laugh laughs laughter nod nods posture body "
    "movement movements motion action actions activity behaviour behavior event events scene scenes "
    "shot shots camera topic topics label labels code codes coding category categories class tag "
    "tags pos msa gloss glosses gls morph morphs morpheme morphemes id ids ref refs reference segnum "
    "num number index idx note notes comment comments remark remarks kommentar translation "
    "translations translated übersetzung traduction traducción free lit literal quality confidence "
    "act acts gender noise noises background music nonverbal nonspeech disfluency disfluencies pause "
    "pauses overlap overlaps annotator rater rating ratings score aus 情感 情绪 情緒 手势 动作 翻译 "
    "翻譯 注释 備註 备注"
)
"""Words in the names of tiers that describe the speech or the speaker."""
CODES = _set("au da fe fg fn ft ge gl mb nt ps tl")
"""Short names of such tiers in Toolbox and ELAN; used only for child tiers or with a speaker (``ge@ann``)."""
UTTERANCES = _set(
    "utterance utterances utt utts sentence sentences satz sätze phrase phrases text texts txt tx "
    "transcript transcripts transcription transcriptions transkript transkription transcripción trs "
    "trn ort orth ortho orthography orthographic speech spch spoken default turn turns ipu ipus line "
    "lines 文本 转写 轉寫 句子 话语 字幕"
)
"""Words in the names of tiers that hold utterances."""
SILENCE = _set(
    "sp sil silence silent ssil pau pause spn nsn noise h# <sil> <silence> <sp> <p:> <p> <pause> "
    "!sil !enter !exit <vocnoise> <laugh> <iver> <breath> <trash> {b_trans} {e_trans} {breath} {cough} "
    "{noise} "
    "<eps> <unk> <nib> <usb> <s> </s> <noise> {sl} {sp} {ns} {br} {lg} {cg} {ls} {p} [sil] [silence] "
    "[pause] [noise] [sp] (sil) (sp) (silence) (pause) (noise)"
)
"""Marks of silence of P2FA, MAUS, MFA, Festival, Kaldi and human transcribers."""
LABEL_VALUES = _set(
    "happy happiness hap sad sadness angry anger ang neutral neu fear fearful fea disgust disgusted "
    "dis surprise surprised sur joy joyful contempt frustrated frustration fru excited exc positive "
    "pos negative neg calm bored smile smiling nod nods nodding shrug laugh laughter laughing frown "
    "frowning gaze sounding speech nonspeech non-speech noise music beat iconic deictic metaphoric "
    "stroke preparation retraction hold noun verb adj adv det pron prep conj nn nns nnp vb vbd vbz "
    "vbp vbg jj rb dt prp cc num part"
)
"""Values in tiers of labels."""
BACKCHANNELS = _set(
    "yeah yes yep no nope ok okay mm mhm mmhm uh huh uh-huh um er oh ah hm hmm right well so ja nein "
    "doch oui non si sí да нет 嗯 对 對 好 是 啊 哦 はい うん ええ"
)
"""Utterances of listeners while somebody else talks."""
