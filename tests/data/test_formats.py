"""Small made files in every format that is read; each must give the log that was meant."""

import datetime
import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dccl.data.cache import LoadReport, load
from dccl.data.config import DataConfig
from dccl.data.formats import recognise
from dccl.data.log import EventLog
from dccl.wire.errors import ConfigError, DataError


def write(folder: Path, files: dict[str, str], *, zipped: bool = False, encoding: str = "utf-8") -> Path:
    for name, text in files.items():
        content = text.encode(encoding)
        (folder / (name + ".gz" * zipped)).write_bytes(gzip.compress(content) if zipped else content)
    return folder


def read(path: Path, **settings: object) -> tuple[EventLog, LoadReport]:
    return load(DataConfig(path=str(path), **settings))  # type: ignore[arg-type]


def histories(log: EventLog) -> dict[str, list[str]]:
    return {
        log.user_ids[user]: [
            log.item_ids[item] for item in log.items[log.offsets[user] : log.offsets[user + 1]]
        ]
        for user in range(log.num_users)
    }


def profile(log: EventLog, name: str) -> list[int]:
    return log.profiles[:, log.profile_names.index(name)].tolist()


RECBOLE = {
    "set.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    "10\ta\t4\t30\n9\tb\t5\t20\n10\tb\t1\t10.5\n10\tc\t2\t8.5e1\n9\ta\t3\t21\n",
    "set.user": "user_id:token\tage:token\tgender:token\n9\t31\tF\n10\t7\tM\n11\t99\tF\n",
    "set.item": "item_id:token\ttitle:token_seq\tclass:token_seq\na\tToy Story\tComedy Drama\n"
    "b\tX\tAction\nd\tY\tWar\n",
}
GROUPLENS_1M = {
    "ratings.dat": "1::20::5::978300760\n1::3::3::978302109\n2::20::4::978301968\n",
    "users.dat": "1::F::1::10::48067\n2::M::56::16::70072\n",
    "movies.dat": "20::Caf\xe9 (1995)::Drama|War\n3::B (1996)::Comedy\n4::C::War\n",
}
GROUPLENS_100K = {
    "u.data": "196\t242\t3\t881250949\n196\t10\t3\t881250940\n22\t242\t1\t878887116\n",
    "u.user": "22|24|M|writer|85711\n196|49|M|writer|55105\n",
    "u.item": "242|Caf\xe9|01-Jan-1997||http://x|0|0|0|0|0|0|0|0|1|0|0|0|0|0|0|0|0|0|0\n"
    "10|X|01-Jan-1997||http://x|0|0|0|0|0|1|0|0|0|0|0|0|0|0|1|0|0|0|0\n",
    "u1.base": "1\t2\t3\t4\n",
    "README": "terms",
}
ASINS = ("B00005N7P0", "0439893577", "B00004YZQZ")


@pytest.mark.parametrize("zipped", [False, True])
def test_recbole_files_give_events_profiles_and_categories(tmp_path: Path, zipped: bool) -> None:
    log, report = read(write(tmp_path, RECBOLE, zipped=zipped))
    assert histories(log) == {"9": ["b", "a"], "10": ["b", "a", "c"]}
    assert log.times.tolist() == [20, 21, 10, 30, 85]
    assert log.has_times
    assert log.profile_names == ("age", "gender")
    # User 9 before user 10, whole numbers in their order; user 11 is not in the log, so 99 is no age of it.
    assert profile(log, "age") == [2, 1]
    assert log.profile_sizes == (3, 3)
    assert log.categories.tolist() == [0, 2, 1, 0]  # Action before Comedy; c is not in the item file
    assert (report.rows, report.num_bad, report.format) == (5, 0, "recbole")
    assert any("does not know 1 of the 3 items" in note for note in report.notes)


def test_a_recbole_order_column_is_an_order_and_not_a_time(tmp_path: Path) -> None:
    text = "user_id:token\titem_id:token\torder:float\nu\ta\t7\nu\tb\t3\n"
    log, _ = read(write(tmp_path, {"set.inter": text}) / "set.inter", time="order")
    assert histories(log) == {"u": ["b", "a"]}
    assert log.times.tolist() == [0, 1]
    assert not log.has_times


def test_a_missing_time_column_lists_the_columns_there_are(tmp_path: Path) -> None:
    path = write(tmp_path, {"set.inter": "user_id:token\titem_id:token\torder:float\nu\ta\t7\n"})
    with pytest.raises(
        DataError, match=r"'timestamp' or 'time'.*it has user_id, item_id, order.*data\.time=order"
    ):
        read(path)


def test_original_tables_beside_a_recbole_file_are_used_if_they_know_every_id(tmp_path: Path) -> None:
    header = "user_id:token\titem_id:token\ttimestamp:float\n"
    write(tmp_path, {name: GROUPLENS_1M[name] for name in ("users.dat", "movies.dat")}, encoding="latin-1")
    write(
        tmp_path,
        {"known.inter": header + "1\t3\t1\n1\t20\t2\n", "other.inter": header + "7\t3\t1\n7\t4\t2\n"},
    )
    known, _ = read(tmp_path / "known.inter")
    assert known.profile_names == ("gender", "age", "occupation", "zip_code")
    assert known.num_categories == 3
    other, report = read(tmp_path / "other.inter")
    assert other.profile_names == ()
    assert "users.dat is not used: it does not know 1 of the 1 users" in report.notes


@pytest.mark.parametrize("zipped", [False, True])
def test_movielens_1m_as_published(tmp_path: Path, zipped: bool) -> None:
    log, report = read(write(tmp_path, GROUPLENS_1M, zipped=zipped, encoding="latin-1"))
    assert histories(log) == {"1": ["20", "3"], "2": ["20"]}
    assert log.times.tolist() == [978300760, 978302109, 978301968]
    assert log.categories.tolist() == [0, 1, 2]  # Comedy, Drama; item 3 before item 20
    assert profile(log, "gender") == [1, 2]
    assert report.format == "grouplens"


def test_movielens_100k_as_published(tmp_path: Path) -> None:
    log, report = read(write(tmp_path, GROUPLENS_100K, encoding="latin-1"))
    assert histories(log) == {"22": ["242"], "196": ["10", "242"]}
    assert log.categories.tolist() == [0, 1, 2]  # item 10 is Comedy, 242 Drama
    assert profile(log, "age") == [1, 2]
    assert "u1.base" not in report.files


def test_ratings_without_times_are_refused_unless_the_lines_are_said_to_be_in_order(tmp_path: Path) -> None:
    path = write(tmp_path, {"ratings.dat": "1::20::5\n1::3::3\n2::3::1\n"})
    with pytest.raises(DataError, match=r"no time.*data\.time=line"):
        read(path)
    log, _ = read(path, time="line")
    assert histories(log) == {"1": ["20", "3"], "2": ["3"]}
    assert not log.has_times


@pytest.mark.parametrize("zipped", [False, True])
def test_sequences_with_attributes(tmp_path: Path, zipped: bool) -> None:
    files = {
        "Beauty.txt": "1 5 3 5\n2 3\n",
        "Beauty_item2attributes.json": '{"5": [7, 2], "3": [], "9": [1]}',
    }
    log, report = read(write(tmp_path, files, zipped=zipped))
    assert histories(log) == {"1": ["5", "3", "5"], "2": ["3"]}
    assert log.categories.tolist() == [0, 0, 1]
    assert (report.rows, report.format, log.has_times) == (4, "sequences", False)


def test_a_sequence_line_without_items_is_bad_and_named(tmp_path: Path) -> None:
    path = write(tmp_path, {"s.txt": "1 5 3\n2\n\n3 5  4\n4 1 2\n"}) / "s.txt"
    log, report = read(path, format="sequences", allow_bad=0.5)
    assert [(row.line, row.reason) for row in report.examples] == [
        (2, "a user without items"), (3, "blank line"), (4, "no item"),
    ]  # fmt: skip
    assert histories(log) == {"1": ["5", "3"], "3": ["5", "4"], "4": ["1", "2"]}


@pytest.mark.parametrize("item_first", [False, True])
def test_amazon_ratings_are_read_in_either_order_of_their_ids(tmp_path: Path, item_first: bool) -> None:
    events = [
        ("A2SUAM1J3GNN3B", ASINS[0], 200),
        ("A2SUAM1J3GNN3B", ASINS[1], 100),
        ("AO94DHGC771SJ", ASINS[0], 9),
    ]
    rows = [(item, user, time) if item_first else (user, item, time) for user, item, time in events]
    text = "".join(f"{first},{second},5.0,{1_400_000_000 + time}\n" for first, second, time in rows)
    log, report = read(write(tmp_path, {"ratings_Books.csv": text}))
    assert histories(log) == {"A2SUAM1J3GNN3B": [ASINS[1], ASINS[0]], "AO94DHGC771SJ": [ASINS[0]]}
    assert report.format == "amazon"


def test_amazon_ratings_whose_ids_look_alike_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, {"r.csv": f"{ASINS[0]},{ASINS[1]},5.0,1400000000\n"}) / "r.csv"
    with pytest.raises(DataError, match=r"cannot tell the user from the item.*data\.user=column_1"):
        read(path, format="amazon")


@pytest.mark.parametrize(
    ("keys", "unit"),
    [
        (("reviewerID", "asin", "overall", "unixReviewTime"), 1),
        (("user_id", "parent_asin", "rating", "timestamp"), 1000),
    ],
)
def test_amazon_reviews_of_2014_and_2023(tmp_path: Path, keys: tuple[str, ...], unit: int) -> None:
    user, item, rating, time = keys
    line = (
        '{{"'
        + user
        + '": "{}", "'
        + item
        + '": "{}", "'
        + rating
        + '": 5.0, "reviewText": "a, \\"b\\"", "'
        + time
    )
    line += '": {}}}\n'
    text = line.format("U", ASINS[0], 1_400_000_200 * unit) + line.format("U", ASINS[1], 1_400_000_100 * unit)
    text += '{"' + user + '": "U", "' + item
    log, report = read(write(tmp_path, {"reviews.json": text}), allow_bad=0.4)
    assert histories(log) == {"U": [ASINS[1], ASINS[0]]}
    assert log.times.tolist() == [1_400_000_100, 1_400_000_200]
    assert [(row.line, row.reason) for row in report.examples] == [(3, "not a whole JSON object")]


def test_reviews_written_as_python_dictionaries_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, {"reviews.json": "{'reviewerID': 'U'}\n"})
    with pytest.raises(DataError, match="not a JSON object"):
        read(path)


@pytest.mark.parametrize("zipped", [False, True])
def test_the_cut_last_line_of_the_taobao_file_is_one_bad_row(tmp_path: Path, zipped: bool) -> None:
    inside = "".join(
        f"1,{item},7,{kind},{1511539200 + item}\n" for item, kind in enumerate(["pv", "cart"] * 60, 1)
    )
    text = inside + "2,5,8,pv,1511539199\n2,5,8,buy,1512316800\n2,200,8,fav,1512316799\n2,9,9,p"
    log, report = read(write(tmp_path, {"UserBehavior.csv": text}, zipped=zipped))
    assert [(row.file, row.line, row.reason) for row in report.examples] == [
        ("UserBehavior.csv" + ".gz" * zipped, 124, "no time")
    ]
    assert report.bad == {"no time": 1}
    assert report.filtered == {"outside the documented days": 2}
    assert histories(log)["2"] == ["200"]
    assert log.num_categories == 3


def test_taobao_behaviours_and_window_are_the_users_choice(tmp_path: Path) -> None:
    path = write(tmp_path, {"t.csv": "1,5,8,pv,1511539199\n1,6,8,buy,1511539300\n1,7,8,fav,1511539301\n"})
    log, report = read(path, behaviours=("pv", "fav"), window=False)
    assert histories(log) == {"1": ["5", "7"]}
    assert report.filtered == {"behaviour is not pv or fav": 1}


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_a_plain_table_with_usual_names_is_read_without_a_mapping(tmp_path: Path, separator: str) -> None:
    rows = ["userId,movieId,rating,timestamp", 'u,"a",3,5', "u,b,4,4", "v,a,1,9"]
    text = "\n".join(rows).replace(",", separator)
    log, report = read(write(tmp_path, {"log.csv": text}))
    assert histories(log) == {"u": ["b", "a"], "v": ["a"]}
    assert (report.format, log.name) == ("table", "log")


def test_a_table_with_a_column_mapping_dates_and_quoted_commas(tmp_path: Path) -> None:
    text = 'who,what,when,kind\nu,"a,1",2024-05-01 10:00:00,x\nu,b,2024-05-01T09:00:00,y\nv,b,2024-04-30,y\n'
    path = write(tmp_path, {"log.csv": text})
    log, _ = read(path, user="who", item="what", time="when", category="kind")
    assert histories(log) == {"u": ["b", "a,1"], "v": ["b"]}
    expected = datetime.datetime(2024, 5, 1, 9, tzinfo=datetime.UTC).timestamp()
    assert log.times[0] == expected
    assert log.categories.tolist() == [0, 1, 2]


def test_a_table_without_a_header_is_mapped_by_position(tmp_path: Path) -> None:
    path = write(tmp_path, {"log.csv": "x,u,7,a\nx,u,6,b\n"})
    log, _ = read(path, user="column_2", item="column_4", time="column_3")
    assert histories(log) == {"u": ["b", "a"]}


@pytest.mark.parametrize("dates", [False, True])
def test_parquet_gives_the_same_log_as_csv(tmp_path: Path, dates: bool) -> None:
    seconds = [1_700_000_005, 1_700_000_004, 1_700_000_009]
    times = (
        [datetime.datetime.fromtimestamp(second, datetime.UTC) for second in seconds] if dates else seconds
    )
    frame = pl.DataFrame({"user_id": [1, 1, 2], "item_id": ["a", "b", "a"], "timestamp": times})
    frame.write_parquet(tmp_path / "log.parquet")
    log, report = read(tmp_path / "log.parquet")
    assert histories(log) == {"1": ["b", "a"], "2": ["a"]}
    assert log.times.tolist() == [1_700_000_004, 1_700_000_005, 1_700_000_009]
    assert report.rows == 3


def test_train_dev_and_test_tables_are_joined_into_one_log(tmp_path: Path) -> None:
    header = "user_id,item_id,time\n"
    files = {
        "train.csv": header + "1,5,10\n1,6,11\n",
        "dev.csv": header + "1,7,12\n",
        "test.csv": header + "1,8,13\n",
        "item_meta.csv": 'item_id,i_category,r_complement\n5,0,"[1, 2]"\n6,1,[]\n7,0,[]\n8,1,[]\n',
    }
    log, report = read(write(tmp_path, files, zipped=True))
    assert histories(log) == {"1": ["5", "6", "7", "8"]}
    assert log.categories.tolist() == [0, 1, 2, 1, 2]
    assert report.rows == 4


def test_a_dev_table_that_is_the_test_table_is_refused(tmp_path: Path) -> None:
    header = "user_id,item_id,time\n"
    files = {
        "train.csv": header + "1,5,10\n",
        "dev.csv": header + "1,7,12\n",
        "test.csv": header + "1,7,12\n",
    }
    with pytest.raises(DataError, match="validation and test hold the same events"):
        read(write(tmp_path, files))


def test_lines_that_end_with_a_carriage_return_are_read_like_others(tmp_path: Path) -> None:
    text = RECBOLE["set.inter"].replace("\n", "\r\n")
    log, report = read(write(tmp_path, {"set.inter": text}))
    assert histories(log) == {"9": ["b", "a"], "10": ["b", "a", "c"]}
    assert report.num_bad == 0


def test_every_real_set_is_recognised(shared_data: Path) -> None:
    expected = {
        "ml-100k/ml-100k.inter.gz": "recbole",
        "ml-1m/ml-1m-ge3.inter.gz": "recbole",
        "ml-1m/ratings_sample100k.dat.gz": "grouplens",
        "amazon-beauty/Beauty.txt.gz": "sequences",
        "amazon-grocery/train.csv.gz": "table",
        "taobao/UserBehavior.csv.gz": "taobao",
    }
    assert {name: recognise(shared_data / name) for name in expected} == expected


@pytest.mark.parametrize(
    ("path", "settings", "sizes", "filtered", "bad"),
    [
        ("ml-100k", {}, (943, 1682, 100_000), 0, 0),
        ("ml-1m/ml-1m-ge3.inter.gz", {"time": "order"}, (6038, 3307, 835_789), 0, 0),
        ("ml-1m/ratings_sample100k.dat.gz", {}, (5958, 3312, 100_000), 0, 0),
        ("amazon-beauty", {}, (22_363, 12_101, 198_502), 0, 0),
        ("amazon-grocery", {}, (14_681, 8_713, 151_254), 0, 0),
        ("taobao", {}, (815, 55_344, 84_440), 35, 1),
    ],
)
def test_the_real_sets_have_their_documented_sizes(
    shared_data: Path,
    path: str,
    settings: dict[str, str],
    sizes: tuple[int, int, int],
    filtered: int,
    bad: int,
) -> None:
    log, report = read(shared_data / path, **settings)
    assert (log.num_users, log.num_items, log.num_events) == sizes
    assert (sum(report.filtered.values()), report.num_bad) == (filtered, bad)
    for user in range(0, log.num_users, 97):
        assert np.all(np.diff(log.times[log.offsets[user] : log.offsets[user + 1]]) >= 0)


def test_a_missing_path_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere does not exist.*dccl data get"):
        read(tmp_path / "nowhere")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"log\.csv is empty"):
        read(write(tmp_path, {"log.csv": ""}))


def test_a_header_without_events_is_an_empty_log(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no event"):
        read(write(tmp_path, {"log.csv": "user_id,item_id,timestamp\n"}))


def test_a_log_of_one_item_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"one item only \('a'\)"):
        read(write(tmp_path, {"log.csv": "user_id,item_id,timestamp\nu,a,1\nv,a,2\n"}))


def test_a_user_with_one_event_is_kept(tmp_path: Path) -> None:
    log, _ = read(write(tmp_path, {"log.csv": "user_id,item_id,timestamp\nu,a,1\nv,b,2\n"}))
    assert histories(log) == {"u": ["a"], "v": ["b"]}


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(b"PK\x03\x04\x00\x00\x00")
    with pytest.raises(DataError, match="not a text file"):
        read(tmp_path / "log.csv")


def test_a_gzip_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    rows = "".join(f"{number % 97},{number * 7919 % 1009},{number}\n" for number in range(20_000))
    whole = gzip.compress(("user_id,item_id,timestamp\n" + rows).encode())
    (tmp_path / "log.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot read"):
        read(tmp_path / "log.csv.gz")


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(DataError, match=r"cannot read .*log\.parquet as table"):
        read(tmp_path)


def test_a_damaged_table_beside_the_log_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, {"set.inter": RECBOLE["set.inter"]})
    (path / "set.user.gz").write_bytes(gzip.compress(RECBOLE["set.user"].encode())[:-9])
    with pytest.raises(DataError, match=r"cannot read .*set\.user\.gz"):
        read(path)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two columns of the same name"):
        read(write(tmp_path, {"log.csv": "user_id,item_id,timestamp,timestamp\nu,a,1,2\n"}))


def test_columns_named_like_our_own_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    text = "\ufeffuser_id,item_id,timestamp,line,extra,file\nu,a,2,1,2,3\nu,b,1,x,,y\n"
    log, report = read(write(tmp_path, {"log.csv": text}))
    assert histories(log) == {"u": ["b", "a"]}
    assert report.num_bad == 0


def test_a_text_of_no_known_format_is_refused_with_its_first_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not recognised.*'hello'.*data\.format"):
        read(write(tmp_path, {"log.txt": "hello\nworld\n"}))


def test_the_wrong_format_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, GROUPLENS_1M, encoding="latin-1")
    with pytest.raises(DataError, match="not a RecBole atomic file"):
        read(path, format="recbole")
    with pytest.raises(DataError, match=r"3 of the 3 rows of ratings\.dat are bad"):
        read(path, format="taobao")
    with pytest.raises(ConfigError, match=r"data\.format is 'csv'.*recbole"):
        read(path, format="csv")


def test_a_folder_with_several_logs_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no log"):
        read(tmp_path)
    write(tmp_path, {"a.inter": RECBOLE["set.inter"], "b.inter": RECBOLE["set.inter"]})
    with pytest.raises(DataError, match=r"several logs: a\.inter, b\.inter"):
        read(tmp_path)
