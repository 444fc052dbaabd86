//! Imports run one way, between files as between the modules that ARCHITECTURE.md puts in order;
//! and lines are short.

mod imports;
mod width;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use imports::{Crate, Module, file_of};

/// What each file imports from other files of the crate, by the file that defines it.
struct Graph(BTreeMap<Module, BTreeMap<Module, BTreeSet<String>>>);

impl Graph {
    fn read() -> Self {
        let sources = Crate::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        let graph = Self(
            sources.modules().map(|module| (module.clone(), sources.imports_of(module))).collect(),
        );
        assert!(graph.0.len() > 50, "{} files", graph.0.len());
        graph
    }

    /// Every import: from which file, to which file, of what.
    fn edges(&self) -> impl Iterator<Item = (&Module, &Module, &BTreeSet<String>)> {
        self.0
            .iter()
            .flat_map(|(from, imports)| imports.iter().map(move |(to, names)| (from, to, names)))
    }

    /// The files that a file imports, directly or not.
    fn reachable(&self, from: &Module) -> BTreeSet<&Module> {
        let mut found = BTreeSet::new();
        let mut next: Vec<&Module> = self.0[from].keys().collect();
        while let Some(module) = next.pop() {
            if found.insert(module) {
                next.extend(self.0[module].keys());
            }
        }
        found
    }

    /// The sets of files each of which imports every other one, directly or not.
    fn cycles(&self) -> BTreeSet<BTreeSet<&Module>> {
        let reachable: BTreeMap<&Module, BTreeSet<&Module>> =
            self.0.keys().map(|module| (module, self.reachable(module))).collect();
        let cycle_of = |module: &&Module| -> BTreeSet<&Module> {
            let others = reachable[module].iter().copied();
            others.filter(|other| reachable[other].contains(*module)).collect()
        };
        reachable.keys().map(cycle_of).filter(|cycle| !cycle.is_empty()).collect()
    }

    /// The imports within a set of files, a line each.
    fn within(&self, files: &BTreeSet<&Module>) -> String {
        let edges = self.edges().filter(|(from, to, _)| files.contains(from) && files.contains(to));
        edges.map(|(from, to, names)| line(from, to, names)).collect()
    }
}

fn line(from: &Module, to: &Module, names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    format!("  {} -> {}: {}\n", file_of(from), file_of(to), names.join(", "))
}

/// The modules that a module of the crate may import, directly or not, by ARCHITECTURE.md.
fn order() -> BTreeMap<String, BTreeSet<String>> {
    let text = crate::completeness::file("ARCHITECTURE.md");
    let sentence = crate::completeness::part(&text, "Imports run one way: ", ". ");
    let chains = sentence.split('`').filter(|part| part.contains("->"));
    let mut order: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for chain in chains {
        let names: Vec<String> = chain.split("->").map(|name| name.trim().to_owned()).collect();
        for (number, name) in names.iter().enumerate() {
            order.entry(name.clone()).or_default().extend(names[number + 1..].iter().cloned());
        }
    }
    // What comes before `handler` in one chain comes before all that follows it in the other.
    let direct = order.clone();
    for later in order.values_mut() {
        let more: Vec<String> = later.iter().flat_map(|name| direct[name].clone()).collect();
        later.extend(more);
    }
    order
}

#[test]
fn no_file_imports_one_that_imports_it() {
    let graph = Graph::read();
    let cycles = graph.cycles();
    let texts: Vec<String> = cycles.iter().map(|files| graph.within(files)).collect();
    assert!(texts.is_empty(), "{} cycles:\n{}", texts.len(), texts.join("\n"));
}

#[test]
fn no_import_runs_against_the_order_of_the_architecture() {
    let graph = Graph::read();
    let order = order();
    assert_eq!(order.len(), 6, "{order:?}");
    let against = graph.edges().filter(|(from, to, _)| {
        let (Some(from), Some(to)) = (from.first(), to.first()) else { return false };
        from != to
            && order.contains_key(to)
            && order.get(from).is_some_and(|later| !later.contains(to))
    });
    let lines: String = against.map(|(from, to, names)| line(from, to, names)).collect();
    assert!(lines.is_empty(), "against the order:\n{lines}");
}

#[test]
fn the_domain_imports_no_other_module_of_the_crate() {
    let graph = Graph::read();
    let is_domain = |module: &Module| module.first().is_some_and(|name| name == "mitigation");
    let others = graph.edges().filter(|(from, to, _)| is_domain(from) && !is_domain(to));
    let lines: String = others.map(|(from, to, names)| line(from, to, names)).collect();
    assert!(lines.is_empty(), "imports of the domain:\n{lines}");
}
