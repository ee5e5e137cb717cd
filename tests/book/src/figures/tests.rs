use super::*;

const HEAD: &str = "Title: A & B\nAlt: One box, an arrow, and another box, each with a word.\n\n";

fn draw(commands: &str) -> Result<Figure> {
    Figure::draw("x", &format!("{HEAD}{commands}"))
}

#[test]
fn a_drawing_is_one_picture_with_title_and_description() {
    let figure = draw(
        "drawing 300x60\nbox a 0,0 80x40 client : A\nbox b 200,0 80x40 : B\narrow a -> b : go\n",
    );
    let figure = figure.unwrap();
    assert_eq!(figure.problems, Vec::<String>::new());
    assert!(figure.svg.contains("viewBox=\"0 0 300 60\""));
    assert!(
        figure
            .svg
            .contains("<title id=\"fig-x-title\">A &amp; B</title>")
    );
    assert!(
        figure.svg.contains("<path d=\"M80,20L192,20\"/>"),
        "{}",
        figure.svg
    );
    assert!(
        !figure.html().contains("\n\n"),
        "an empty line ends a block of HTML"
    );
    assert!(figure.file().contains("<style>"));
}

#[test]
fn boxes_of_a_grid_are_joined_by_their_facing_sides() {
    let figure = draw(
        "drawing 300x300\ngrid 0,0 80x40 20,30\nrow : a ; b\nrow : . ; c\nbox a : A\nbox c : C\narrow a -> c\narrow a.right -> c.top\n",
    );
    let svg = figure.unwrap().svg;
    assert!(
        svg.contains("M40,40L40,48Q40,55"),
        "down, across, down: {svg}"
    );
    assert!(
        svg.contains("M80,20L133,20Q140,20 140,27"),
        "across, down: {svg}"
    );
}

#[test]
fn a_sequence_finds_its_places() {
    let figure = draw(
        "sequence 400\nactor a client : A\nactor b : B\na -> b : hello\nnote b : thinks\nb -> a lost : bye\n",
    );
    let svg = figure.unwrap().svg;
    assert!(svg.contains("<path d=\"M100,75L292,75\"/>"), "{svg}");
    assert!(
        svg.contains("class=\"error\""),
        "the cross of what is lost: {svg}"
    );
}

#[test]
fn mistakes_name_their_line() {
    for (commands, message) in [
        ("drawing 9x9\nbxo a\n", "line 5: \"bxo\" is not a command"),
        (
            "drawing 9x9\narrow a -> b\n",
            "line 5: \"a\" is not drawn yet",
        ),
        (
            "drawing 9x9\nbox a 1,1 2x2 blue\n",
            "line 5: \"blue\" is not known here",
        ),
        (
            "sequence 9\nactor a\na -> b\n",
            "line 6: there is no actor \"b\"",
        ),
        ("sculpture\n", "\"sculpture\" is not a kind of figure"),
    ] {
        assert_eq!(format!("{:#}", draw(commands).unwrap_err()), message);
    }
}

#[test]
fn text_wider_than_its_box_is_found() {
    let figure = draw("drawing 300x60\nbox a 0,0 20x40 : much too long\n").unwrap();
    assert!(
        figure.problems[0].contains("is wider than its box"),
        "{:?}",
        figure.problems
    );
}

#[test]
fn a_picture_that_is_not_what_its_source_gives_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("book/figures")).unwrap();
    let source = root.join("book/figures/x.txt");
    fs::write(
        &source,
        format!("{HEAD}drawing 300x60\nbox a 0,0 80x40 : A\n"),
    )
    .unwrap();
    assert_eq!(problems(root).unwrap().len(), 1, "not drawn yet");
    assert_eq!((write_all(root).unwrap(), write_all(root).unwrap()), (1, 0));
    assert_eq!(problems(root).unwrap(), Vec::<String>::new());
    fs::write(
        &source,
        format!("{HEAD}drawing 300x60\nbox a 0,0 80x40 : B\n"),
    )
    .unwrap();
    let found = problems(root).unwrap();
    assert!(found[0].contains("cargo book --figures"), "{found:?}");
}

#[test]
fn the_figures_of_the_book_are_sound() {
    let root = course::workspace::root().unwrap();
    assert_eq!(problems(&root).unwrap(), Vec::<String>::new());
}
