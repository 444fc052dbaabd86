//! The imports of each file of a crate, read from its `use` declarations and its paths.
//!
//! An import counts as one of the file that defines the item, through whatever re-exports. Neither
//! a `mod` declaration nor a re-export is an import, unless the file itself uses the item.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The path of a module in the crate. The root is empty; the binary's root is `main`.
pub type Module = Vec<String>;

/// The file of a module.
pub fn file_of(module: &Module) -> String {
    if module.is_empty() { "lib.rs".to_owned() } else { format!("{}.rs", module.join("/")) }
}

/// A name that a `use` declaration binds.
#[derive(Clone)]
struct Import {
    name: String,
    /// From the root of the crate.
    path: Vec<String>,
    is_public: bool,
}

/// A file, without its comments and its unit tests.
#[derive(Default)]
struct Source {
    children: Vec<String>,
    imports: Vec<Import>,
    /// What is left without `use` declarations.
    code: String,
}

pub struct Crate(BTreeMap<Module, Source>);

impl Crate {
    /// Reads all files of the folder `src`.
    pub fn read(folder: &Path) -> Self {
        let mut sources = BTreeMap::new();
        read_folder(folder, &[], &mut sources);
        Self(sources)
    }

    pub fn modules(&self) -> impl Iterator<Item = &Module> {
        self.0.keys()
    }

    /// What a file imports from other files: the names, by the file that defines them.
    pub fn imports_of(&self, module: &Module) -> BTreeMap<Module, BTreeSet<String>> {
        let source = &self.0[module];
        let is_used = |import: &&Import| {
            let is_re_export = import.is_public && import.path.starts_with(module);
            !self.0.contains_key(&import.path) && (!is_re_export || source.uses(&import.name))
        };
        let declared = source.imports.iter().filter(is_used).map(|import| import.path.clone());
        let mut imports: BTreeMap<Module, BTreeSet<String>> = BTreeMap::new();
        for path in declared.chain(self.paths_in_code(module)) {
            let file = self.file_that_defines(&path);
            if file != *module {
                imports.entry(file).or_default().extend(path.last().cloned());
            }
        }
        imports
    }

    /// The paths in the code that begin with a keyword, or with a module that is in scope.
    fn paths_in_code(&self, module: &Module) -> Vec<Vec<String>> {
        let source = &self.0[module];
        let modules = source.imports.iter().filter(|import| self.0.contains_key(&import.path));
        let modules: BTreeMap<&str, &Vec<String>> =
            modules.map(|import| (import.name.as_str(), &import.path)).collect();
        let absolute = |path: Vec<String>| match modules.get(path[0].as_str()) {
            Some(module) => Some([module, &path[1..]].concat()),
            None => source.absolute(module, &path),
        };
        paths(&source.code).into_iter().filter_map(absolute).collect()
    }

    /// The module whose file defines the item at `path`.
    fn file_that_defines(&self, path: &[String]) -> Module {
        let is_module = |length: &usize| self.0.contains_key(&path[..*length]);
        let length = (0..=path.len()).rev().find(is_module).unwrap_or_default();
        let module = &path[..length];
        let Some(item) = path.get(length) else { return module.to_vec() };
        match self.0[module].imports.iter().find(|import| import.name == *item) {
            Some(import) => self.file_that_defines(&import.path),
            None => module.to_vec(),
        }
    }
}

fn read_folder(folder: &Path, parent: &[String], sources: &mut BTreeMap<Module, Source>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut module = parent.to_vec();
        if parent.is_empty() && name == "lib" {
            sources.insert(module.clone(), Source::read(&path, &module));
            continue;
        }
        module.push(name);
        if path.is_dir() {
            read_folder(&path, &module, sources);
        } else {
            sources.insert(module.clone(), Source::read(&path, &module));
        }
    }
}

impl Source {
    /// Reads a file up to its unit tests.
    fn read(path: &Path, module: &Module) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let (mut source, mut declarations, mut declaration) =
            (Self::default(), Vec::new(), String::new());
        for line in text.lines() {
            let code = line.split_once("//").map_or(line, |(code, _)| code);
            if declaration.is_empty() && !is_use(code) {
                source.children.extend(child(code));
                source.code.push_str(code);
                source.code.push('\n');
                continue;
            }
            declaration.push_str(code);
            if code.ends_with(';') {
                declarations.push(std::mem::take(&mut declaration));
            }
        }
        for declaration in declarations {
            source.bind(&declaration, module);
        }
        source
    }

    /// Adds what a `use` declaration imports from the crate.
    fn bind(&mut self, declaration: &str, module: &Module) {
        let (visibility, tree) = declaration.split_once("use ").unwrap();
        let is_public = !visibility.trim().is_empty();
        for (name, path) in leaves(tree.trim_end_matches(';'), &[]) {
            if let Some(path) = self.absolute(module, &path) {
                self.imports.push(Import { name, path, is_public });
            }
        }
    }

    /// A path from the root of the crate; `None` if it begins with another crate or a local name.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        Some(match first.as_str() {
            "crate" | "mitigation_action_provider" => rest.to_vec(),
            "self" => [module, rest].concat(),
            "super" => {
                let parent = module[..module.len() - 1].to_vec();
                if rest.first().is_some_and(|next| next == "super") {
                    return self.absolute(&parent, rest);
                }
                [parent.as_slice(), rest].concat()
            }
            child if self.children.iter().any(|name| name == child) => [module, path].concat(),
            _ => return None,
        })
    }

    /// Whether the code has the name.
    fn uses(&self, name: &str) -> bool {
        self.code.split(|c: char| !is_word(c)).any(|word| word == name)
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A line of code without its indentation and its visibility.
fn without_visibility(line: &str) -> &str {
    let line = line.trim_start();
    match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(") ").map_or(line, |(_, rest)| rest),
        Some(rest) if rest.starts_with(' ') => rest.trim_start(),
        _ => line,
    }
}

fn is_use(line: &str) -> bool {
    without_visibility(line).starts_with("use ")
}

/// The module that a line declares.
fn child(line: &str) -> Option<String> {
    without_visibility(line).strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned)
}

/// The names that a tree such as `a::{b, c as d}` binds, and their paths.
fn leaves(tree: &str, prefix: &[String]) -> Vec<(String, Vec<String>)> {
    let segments = |text: &str| {
        let segments = text.split("::").map(|segment| segment.trim().to_owned());
        [prefix, &segments.filter(|segment| !segment.is_empty()).collect::<Vec<_>>()].concat()
    };
    if let Some((before, list)) = tree.split_once('{') {
        let list = list.trim_end().strip_suffix('}').unwrap();
        return items(list).into_iter().flat_map(|item| leaves(item, &segments(before))).collect();
    }
    let (path, alias) =
        tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias)));
    let mut path = segments(path);
    if path.last().is_some_and(|last| last == "self" && path.len() > 1) {
        path.pop();
    }
    let name = alias.map_or_else(|| path.last().cloned().unwrap_or_default(), str::to_owned);
    vec![(name, path)]
}

/// The items of a list, split at the commas outside of braces.
fn items(list: &str) -> Vec<&str> {
    let mut depth = 0;
    let items = list.split(|c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    items.map(str::trim).filter(|item| !item.is_empty()).collect()
}

/// The paths of several segments in code, other than those of a visibility.
fn paths(code: &str) -> Vec<Vec<String>> {
    let tokens = code.split(|c: char| !is_word(c) && c != ':');
    let mut is_visibility = false;
    let is_path = |token: &&str| {
        let is_path = token.trim_matches(':').contains("::") && !is_visibility;
        is_visibility = *token == "in";
        is_path
    };
    let segments = |path: &str| path.trim_matches(':').split("::").map(str::to_owned).collect();
    tokens.filter(is_path).map(segments).collect()
}

#[test]
fn a_tree_of_imports_is_its_paths() {
    let found = leaves("super::{\n    a::{self, B as C},\n    D,\n}", &[]);
    let found: Vec<String> =
        found.into_iter().map(|(name, path)| format!("{name}: {}", path.join("::"))).collect();
    assert_eq!(found, ["a: super::a", "C: super::a::B", "D: super::D"]);
}
