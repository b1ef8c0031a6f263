//! The image's recipe beside the list of what its builder is sent: what it copies has to be on it.

fn lines(file: &str) -> Vec<String> {
    let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn everything_the_image_is_built_from_is_sent_to_its_builder() {
    let ignored = lines(".dockerignore");
    assert!(ignored.contains(&"*".to_owned()), "nothing is sent unless it is named");
    let recipe = lines("Dockerfile");
    let copies = recipe.iter().filter_map(|line| line.strip_prefix("COPY ")).filter(|copy| !copy.starts_with("--from"));
    let mut count = 0;
    for copy in copies {
        let mut sources: Vec<_> = copy.split(' ').collect();
        sources.pop();
        for source in sources {
            let top = source.split('/').next().unwrap();
            assert!(ignored.contains(&format!("!{top}")), "{source} is not sent");
            assert!(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(source).exists(), "{source} does not exist");
            count += 1;
        }
    }
    assert!(count > 5, "the recipe was understood");
}
