use super::*;

fn labels(text: &str) -> Result<Vec<LabelRow>, String> {
    parse_labels(text.as_bytes(), Path::new("l.csv")).map_err(|error| error.to_string())
}

fn classes(text: &str) -> Result<Vec<ClassRow>, String> {
    parse_classes(text.as_bytes(), Path::new("c.csv")).map_err(|error| error.to_string())
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_segments_file_is_read_as_google_wrote_it() {
    let text = "# Segments csv created Sun Mar  5 10:56:58 2017\n# num_ytids=2, num_segs=2\n\
        # YTID, start_seconds, end_seconds, positive_labels\n\
        --4gqARaEJE, 0.000, 10.000, \"/m/068hy,/m/07q6cd_\"\n\n-0Gj8-vB1q4, 30.5, 40.000, \"/m/0140xf\"\n";
    let expected = [
        LabelRow {
            line: 4,
            clip: ClipName::Segment { ytid: "--4gqARaEJE".into(), start_s: 0.0, end_s: 10.0 },
            labels: texts(&["/m/068hy", "/m/07q6cd_"]),
        },
        LabelRow {
            line: 6,
            clip: ClipName::Segment { ytid: "-0Gj8-vB1q4".into(), start_s: 30.5, end_s: 40.0 },
            labels: texts(&["/m/0140xf"]),
        },
    ];
    assert_eq!(labels(text).unwrap(), expected);
    assert_eq!(labels(&text.replace('\n', "\r\n")).unwrap(), expected);
    // As others wrote it again: a header that is no comment, no blanks.
    let plain =
        "YTID,start_seconds,end_seconds,positive_labels\n--4gqARaEJE,0.0,10.0,\"/m/068hy,/m/07q6cd_\"\n";
    assert_eq!(labels(plain).unwrap(), [LabelRow { line: 2, ..expected[0].clone() }]);
    assert_eq!(expected[1].clip.to_string(), "-0Gj8-vB1q4 (30.5-40 s)");
}

#[test]
fn a_table_may_have_its_columns_in_any_order_and_others_beside_them() {
    let rows =
        labels("\u{feff}fold,labels,clip\n1,\"/m/1, /m/2\",a b.wav\n2,3;5,c/d.wav\n3,,e\n,,\n").unwrap();
    let row = |line, clip: &str, names: &[&str]| LabelRow {
        line,
        clip: ClipName::File(clip.into()),
        labels: texts(names),
    };
    let expected = [row(2, "a b.wav", &["/m/1", "/m/2"]), row(3, "c/d.wav", &["3", "5"]), row(4, "e", &[])];
    assert_eq!(rows, expected);
    // Where there is a semicolon, a comma is a part of a name.
    let rows = labels("Clip,Labels\na,\"Male speech, man speaking;Gong\"\n").unwrap();
    assert_eq!(rows[0].labels, ["Male speech, man speaking", "Gong"]);
    // A label that is named twice is one.
    assert_eq!(labels("clip,labels\na,\"b, c,b\"\n").unwrap()[0].labels, ["b", "c"]);
}

#[test]
fn a_bad_label_file_is_named_with_its_line() {
    for (text, words) in [
        ("", "line 1: there is no clip in the file; expected AudioSet's"),
        ("# YTID\n\n", "line 1: there is no clip"),
        ("clip,labels\n", "line 1: there is no row"),
        ("YTID,start,end,labels\n", "line 1: there is no row"),
        ("clip,class\na,b\n", "needs the columns `clip` and `labels`, and this has `clip,class`"),
        ("clip,labels,clip\na,b,c\n", "line 1: the header names column `clip` twice"),
        ("clip,labels\na,b\nc,d,e\n", "line 3: 3 values where the header names 2; quote"),
        ("clip,labels\n,b\n", "line 2: `clip` is empty"),
        ("# c\nabc, 0, 10\n", "line 2: `abc, 0, 10` has 3 of 4 values; expected AudioSet's"),
        ("abc, x, 10, \"/m/1\"\n", "line 1: `x` is no time in seconds"),
        ("abc, -1, 10, \"/m/1\"\n", "line 1: `-1` is no time"),
        ("abc, 0, inf, \"/m/1\"\n", "line 1: `inf` is no time"),
        ("abc, 10, 10, \"/m/1\"\n", "line 1: the segment ends at 10 s and begins at 10 s"),
        (", 0, 10, \"/m/1\"\n", "line 1: the YTID is empty"),
        ("abc, 0, 10, \" , \"\n", "line 1: there is no label"),
        ("segment_id\tlabel\na_3\t/m/1\n", "line 1: `segment_id\tlabel` has 1 of 4 values"),
    ] {
        let found = labels(text).unwrap_err();
        assert!(found.starts_with("l.csv, line ") && found.contains(words), "{text:?}: {found}");
    }
    let latin = parse_labels(b"clip,labels\n\xe4,1\n", Path::new("l.csv")).unwrap_err().to_string();
    assert!(latin.contains("line 2") && latin.contains("UTF-8"), "{latin}");
}

#[test]
fn classes_are_in_the_order_of_their_numbers() {
    let rows =
        classes("index,mid,display_name\n1,/m/05zppz,\"Male speech, man speaking\"\n0,/m/09x0r,Speech\n")
            .unwrap();
    let row = |mid: &str, name: &str| ClassRow { mid: mid.into(), name: name.into() };
    assert_eq!(rows, [row("/m/09x0r", "Speech"), row("/m/05zppz", "Male speech, man speaking")]);
    for (text, words) in [
        ("", "line 1: there is no row"),
        ("index,mid\n0,/m/1\n", "line 1: there is no column `display_name`"),
        ("index,mid,display_name\n1,/m/1,a\n", "line 2: `index` is `1`; expected the numbers 0 to 0"),
        ("index,mid,display_name\n0,/m/1,a\n0,/m/2,b\n", "line 3: `index` 0 is there twice"),
        ("index,mid,display_name\nx,/m/1,a\n", "line 2: `index` is `x`"),
    ] {
        let found = classes(text).unwrap_err();
        assert!(found.contains(words), "{text:?}: {found}");
    }
}
