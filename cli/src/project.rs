//! A user's files, read and put together: `index.yaml`, what it names, and the environment become a plan and endpoints.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, ToSocketAddrs},
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use codegen::{
    Checked, Compiled, Config, INTROSPECTION_QUERY, Texts, WantedFile,
    config::{self, AccessRules, Expansion, IdsConfig, KafkaConfig, Secret, SourceEndpoint, StoreAuth},
};
use indexer::{
    Endpoints, Index,
    endpoints::{
        ElasticAuth, ElasticEndpoint, GraphEndpoint, Identity, KafkaEndpoint, Place, RegistryAuth,
        RegistryEndpoint, WebhookEndpoint,
    },
    graph::{Graph, GraphRequest, http::HttpGraph},
    provision::Artifacts,
};
use plan::{
    Diagnostic, SourceText,
    code::config::{SS101, SS108, SS119},
};
use secrecy::SecretString;
use serde_json::Map;

use crate::{
    environment::Environment,
    exit::Exit,
    failure::Failure,
    files::{self, MAX_SCHEMA_BYTES, MAX_WRITTEN_BYTES, Unreadable, read_text},
    output::Output,
};

/// The file that is looked for in a folder.
pub(crate) const FILE_NAME: &str = "index.yaml";

/// How long the store's server may take for one request: a bulk of megabytes on a machine that merges segments.
const STORE_TIMEOUT: Duration = Duration::from_secs(30);

/// A readable configuration and the folder that its paths are relative to.
#[derive(Debug)]
pub(crate) struct Project {
    /// `index.yaml`, as the user named it.
    pub(crate) file: PathBuf,
    /// What it says.
    pub(crate) config: Config,
    folder: PathBuf,
    /// What is odd about it, and allowed.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// The port that searches are served on.
#[derive(Debug)]
pub(crate) struct SearchPort {
    pub(crate) address: SocketAddr,
    pub(crate) tokens: Vec<SecretString>,
    pub(crate) identity: Option<Identity>,
}

/// Everything that was found in a project, and the project if none of it was an error.
#[derive(Debug)]
pub(crate) struct Examined {
    /// All findings, in the order of the checks.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The project with what follows from it.
    pub(crate) result: Option<(Project, Compiled)>,
}

/// Whether the files that only tests name must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mocks {
    /// They are checked.
    Wanted,
    /// An index runs without them.
    Unneeded,
}

/// What was found in the configurations of a Markdown file.
#[derive(Debug, Default)]
pub(crate) struct ExaminedMarkdown {
    /// All findings, in the order of the file.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// How many whole configurations it holds.
    pub(crate) wholes: usize,
    /// How many parts of one.
    pub(crate) parts: usize,
}

impl Project {
    /// Reads the configuration alone, for commands that need a name and addresses.
    pub(crate) fn open(path: &Path, environment: &Environment) -> Result<Self, Failure> {
        let Read { file, folder, checked } = read(path, environment)?;
        match checked.value {
            Some(config) => Ok(Self { file, config, folder, warnings: checked.diagnostics }),
            None => Err(Failure::of_diagnostics(checked.diagnostics)),
        }
    }

    /// Reads the configuration with its defaults and variables filled in; warnings are shown.
    pub(crate) fn expand(
        path: &Path,
        environment: &Environment,
        output: &Output,
    ) -> Result<Expansion, Failure> {
        let (file, folder) = located(path);
        let expanded = codegen::config::expand(&read_config(&file)?, &|name| environment.get(name, &folder));
        let Some((_, expansion)) = expanded.value else {
            return Err(Failure::of_diagnostics(expanded.diagnostics));
        };
        output.report(&expanded.diagnostics);
        Ok(expansion)
    }

    /// Reads and proves everything; what is wrong is an answer here, and only what can't be read at all a failure.
    pub(crate) async fn examine(path: &Path, environment: &Environment) -> Result<Examined, Failure> {
        Self::examine_with(path, environment, Mocks::Unneeded).await
    }

    /// As [`Project::examine`], with the files that only tests need.
    pub(crate) async fn examine_with(
        path: &Path,
        environment: &Environment,
        mocks: Mocks,
    ) -> Result<Examined, Failure> {
        let Read { file, folder, checked } = read(path, environment)?;
        let mut diagnostics = checked.diagnostics.clone();
        let Some(config) = checked.best_effort() else { return Ok(Examined { diagnostics, result: None }) };
        let project = Self { file, config: config.clone(), folder, warnings: Vec::new() };
        let (texts, unreadable) = match project.texts().await {
            Ok(texts) => texts,
            // A gateway that doesn't answer must not hide what is wrong with the file.
            Err(_) if diagnostics.iter().any(Diagnostic::is_error) => {
                return Ok(Examined { diagnostics, result: None });
            }
            Err(failure) => return Err(failure),
        };
        let is_readable = unreadable.is_empty();
        diagnostics.extend(unreadable);
        if mocks == Mocks::Wanted {
            diagnostics.extend(project.mocks().err().into_iter().flatten());
        }
        let Some(texts) = texts else { return Ok(Examined { diagnostics, result: None }) };
        let compiled = codegen::compile(&project.config, &texts);
        // A text that was not given is told twice otherwise.
        diagnostics
            .extend(compiled.diagnostics.into_iter().filter(|found| is_readable || found.code != SS119));
        let is_right = !diagnostics.iter().any(Diagnostic::is_error);
        let result = compiled.value.filter(|_| is_right).map(|compiled| (project, compiled));
        Ok(Examined { diagnostics, result })
    }

    /// Reads and proves everything, or fails with the report. Warnings are shown.
    pub(crate) async fn compile(
        path: &Path,
        environment: &Environment,
        output: &Output,
    ) -> Result<(Self, Compiled), Failure> {
        let Examined { diagnostics, result } = Self::examine(path, environment).await?;
        match result {
            Some(compiled) => {
                output.report(&diagnostics);
                Ok(compiled)
            }
            None => Err(Failure::of_diagnostics(diagnostics)),
        }
    }

    /// Reads and proves the configurations in a Markdown file: each with all it names where that is there, else alone.
    pub(crate) fn examine_markdown(
        path: &Path,
        environment: &Environment,
    ) -> Result<ExaminedMarkdown, Failure> {
        let file = tidy(path);
        let folder = file.parent().map(Path::to_owned).unwrap_or_default();
        let text = read_named(&file)?;
        let mut examined = ExaminedMarkdown::default();
        for snippet in codegen::parse_markdown(&text, &|name| environment.get(name, &folder)) {
            *(if snippet.is_whole { &mut examined.wholes } else { &mut examined.parts }) += 1;
            examined.diagnostics.extend(snippet.diagnostics);
            let Some(config) = snippet.config else { continue };
            let project = Self { file: file.clone(), config, folder: folder.clone(), warnings: Vec::new() };
            // A document shows files that needn't be beside it.
            if let (Some(texts), unreadable) = project.written_texts()
                && unreadable.is_empty()
            {
                examined.diagnostics.extend(codegen::compile(&project.config, &texts).diagnostics);
            }
        }
        Ok(examined)
    }

    /// Opens what provision made.
    pub(crate) async fn index(&self) -> Result<Index, Failure> {
        Ok(Index::open(&self.config.name.value, &self.place()).await?)
    }

    /// Where the index lives.
    pub(crate) fn place(&self) -> Place {
        let store = &self.config.store;
        let server = store.url.as_ref().map(|url| ElasticEndpoint {
            url: url.value.clone(),
            auth: store.auth.as_ref().map(credentials),
            ca: store.tls_ca.as_ref().map(|path| resolve(&self.folder, path)),
            timeout: STORE_TIMEOUT,
        });
        let kafka = self.config.kafka.as_ref().map(|kafka| self.kafka(kafka));
        Place { state: resolve(&self.folder, &self.config.state_path), store: server, kafka }
    }

    fn kafka(&self, kafka: &KafkaConfig) -> KafkaEndpoint {
        let secret = |secret: &Secret| SecretString::from(secret.expose());
        let properties = kafka.properties.iter().map(|(name, value)| (name.clone(), secret(value)));
        let registry = kafka.registry.as_ref().map(|registry| RegistryEndpoint {
            url: registry.url.value.clone(),
            auth: registry.auth.as_ref().map(|auth| match auth {
                config::RegistryAuth::Basic { username, password } => {
                    RegistryAuth::Basic { username: username.clone(), password: secret(password) }
                }
                config::RegistryAuth::Bearer(token) => RegistryAuth::Bearer(secret(token)),
            }),
            ca: registry.tls_ca.as_ref().map(|path| resolve(&self.folder, path)),
        });
        KafkaEndpoint {
            brokers: kafka.brokers.clone(),
            properties: properties.collect(),
            instance_id: kafka.instance_id.clone(),
            registry,
        }
    }

    /// What the running system needs beside the plan.
    pub(crate) fn endpoints(&self, admin: Option<SocketAddr>) -> Result<Endpoints, Failure> {
        let config = &self.config;
        let source_files = config.sources.iter().filter_map(|source| match &source.endpoint {
            SourceEndpoint::File(path) => {
                Some((source.name.value.clone(), resolve(&self.folder, &path.value)))
            }
            SourceEndpoint::Http | SourceEndpoint::Topic(_) => None,
        });
        let admin = match admin {
            Some(address) => address,
            None => listen_address("admin.listen", &config.admin_listen)?,
        };
        Ok(Endpoints {
            graph: self.gateway(),
            place: self.place(),
            source_files: source_files.collect(),
            ids_file: self.ids_file(),
            admin: Some(admin),
            tokens: self.tokens(),
            identity: self.identity(),
            webhook: self.webhook(),
        })
    }

    /// Where matches of saved searches are posted.
    fn webhook(&self) -> Option<WebhookEndpoint> {
        let webhook = self.config.search.webhook.as_ref()?;
        let secret = |secret: &Secret| SecretString::from(secret.expose());
        let headers = webhook.headers.iter().map(|(name, value)| (name.clone(), secret(value)));
        Some(WebhookEndpoint { url: secret(&webhook.url), headers: headers.collect() })
    }

    /// How searches are served: here, or where the configuration says.
    pub(crate) fn search_port(&self, listen: Option<SocketAddr>) -> Result<SearchPort, Failure> {
        let serve = &self.config.serve;
        let address = match listen {
            Some(address) => address,
            None => listen_address("serve.listen", &serve.listen)?,
        };
        Ok(SearchPort { address, tokens: self.tokens(), identity: self.identity() })
    }

    /// Where policies are asked, where a service has them.
    pub(crate) fn policy_url(&self) -> Option<String> {
        match &self.config.search.access.as_ref()?.policies {
            AccessRules::Service(url) => Some(url.value.clone()),
            AccessRules::Filters(_) => None,
        }
    }

    fn tokens(&self) -> Vec<SecretString> {
        self.config.serve.tokens.iter().map(|token| SecretString::from(token.expose())).collect()
    }

    fn identity(&self) -> Option<Identity> {
        let path = |path| resolve(&self.folder, path);
        self.config.serve.tls.as_ref().map(|tls| Identity { cert: path(&tls.cert), key: path(&tls.key) })
    }

    /// The file under `backfill.ids`.
    pub(crate) fn ids_file(&self) -> Option<PathBuf> {
        match &self.config.backfill.ids {
            Some(IdsConfig::File(path)) => Some(resolve(&self.folder, &path.value)),
            Some(IdsConfig::Query(_) | IdsConfig::Topic { .. } | IdsConfig::Index) | None => None,
        }
    }

    /// Where the gateway is.
    pub(crate) fn gateway(&self) -> GraphEndpoint {
        let graph = &self.config.graph;
        let headers = graph.headers.iter();
        GraphEndpoint {
            url: graph.url.value.clone(),
            headers: headers
                .map(|(name, value)| (name.clone(), SecretString::from(value.expose())))
                .collect(),
            ca: graph.tls_ca.as_ref().map(|path| resolve(&self.folder, path)),
        }
    }

    /// The texts that the configuration names, where query and schema could be read, and what could not. Without a
    /// file for it, the schema is asked of the gateway.
    async fn texts(&self) -> Result<(Option<Texts>, Vec<Diagnostic>), Failure> {
        let schema = match &self.config.graph.schema {
            Some(_) => None,
            None => Some(self.introspect().await?),
        };
        Ok(self.texts_with(schema))
    }

    /// The configuration and every file that it names for the plan.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let named = self.config.wanted_files().into_iter().map(|wanted| resolve(&self.folder, &wanted.path));
        std::iter::once(self.file.clone()).chain(named).collect()
    }

    /// The texts that the configuration names, without a network.
    fn written_texts(&self) -> (Option<Texts>, Vec<Diagnostic>) {
        self.texts_with(None)
    }

    fn texts_with(&self, schema: Option<Arc<SourceText>>) -> (Option<Texts>, Vec<Diagnostic>) {
        let mut unreadable = Vec::new();
        let mut texts = BTreeMap::new();
        for wanted in self.config.wanted_files() {
            let limit = if wanted.what == "schema" { MAX_SCHEMA_BYTES } else { MAX_WRITTEN_BYTES };
            match read_text(&resolve(&self.folder, &wanted.path), limit) {
                Ok(text) => drop(texts.insert(wanted.path, text)),
                Err(reason) => unreadable.push(self.unreadable(&wanted, &reason)),
            }
        }
        let named = self.config.graph.schema.as_ref().and_then(|path| texts.get(&path.value).cloned());
        let schema = named.or(schema);
        let query = texts.get(&self.config.query.value).cloned();
        let texts = query.zip(schema).map(|(query, schema)| Texts { query, schema, others: texts });
        (texts, unreadable)
    }

    /// The texts that tests name, by their paths as written, or what can't be read.
    pub(crate) fn mocks(&self) -> Result<BTreeMap<String, Arc<SourceText>>, Vec<Diagnostic>> {
        let (mut texts, mut unreadable) = (BTreeMap::new(), Vec::new());
        for wanted in self.config.test_files() {
            match read_text(&resolve(&self.folder, &wanted.path), MAX_WRITTEN_BYTES) {
                Ok(text) => drop(texts.insert(wanted.path, text)),
                Err(reason) => unreadable.push(self.unreadable(&wanted, &reason)),
            }
        }
        if unreadable.is_empty() { Ok(texts) } else { Err(unreadable) }
    }

    fn unreadable(&self, wanted: &WantedFile, reason: &Unreadable) -> Diagnostic {
        let found = self.config.unreadable(wanted, &reason.to_string());
        match reason.mend() {
            Some(mend) => found.help(mend),
            None => found,
        }
    }

    /// Asks the gateway for its schema.
    async fn introspect(&self) -> Result<Arc<SourceText>, Failure> {
        let timeout = Duration::from_millis(self.config.graph.timeout_ms);
        let schema =
            "`graph.schema` is left out, so the gateway is asked; name a file to need no gateway here";
        introspect(self.gateway(), timeout, schema).await
    }
}

/// Asks a gateway for its schema; the help is for one that doesn't answer.
pub(crate) async fn introspect(
    endpoint: GraphEndpoint,
    timeout: Duration,
    help: &str,
) -> Result<Arc<SourceText>, Failure> {
    let graph = HttpGraph::new(&endpoint, timeout).map_err(|error| Failure::new(error.to_string()))?;
    let request = GraphRequest {
        query: INTROSPECTION_QUERY.into(),
        operation_name: "IntrospectionQuery".to_owned(),
        variables: Map::new(),
    };
    let answer = graph.send(&request).await.map_err(|error| Failure::from(error).help(help))?;
    let text = String::from_utf8(answer).map_err(|_| Failure::new("the gateway's schema is not UTF-8"))?;
    Ok(Arc::new(SourceText { name: endpoint.url, text }))
}

/// Reads a file that the user named on the command line.
pub(crate) fn read_named(path: &Path) -> Result<Arc<SourceText>, Failure> {
    read_text(path, MAX_SCHEMA_BYTES).map_err(|reason| {
        let failure = Failure::usage(format!("{} can't be read: {reason}", path.display()));
        match reason.mend() {
            Some(mend) => failure.help(mend),
            None => failure,
        }
    })
}

fn credentials(auth: &StoreAuth) -> ElasticAuth {
    let secret = |secret: &Secret| SecretString::from(secret.expose());
    match auth {
        StoreAuth::Basic { username, password } => {
            ElasticAuth::Basic { user: username.clone(), password: secret(password) }
        }
        StoreAuth::ApiKey(key) => ElasticAuth::ApiKey(secret(key)),
        StoreAuth::Bearer(token) => ElasticAuth::Bearer(secret(token)),
    }
}

struct Read {
    file: PathBuf,
    folder: PathBuf,
    checked: Checked<Config>,
}

fn read(path: &Path, environment: &Environment) -> Result<Read, Failure> {
    let (file, folder) = located(path);
    let text = read_config(&file)?;
    let checked = codegen::parse_config(&text, &|name| environment.get(name, &folder));
    Ok(Read { file, folder, checked })
}

/// The configuration that a path stands for, and its folder.
pub(crate) fn located(path: &Path) -> (PathBuf, PathBuf) {
    let file = tidy(&if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() });
    let folder = file.parent().map(Path::to_owned).unwrap_or_default();
    (file, folder)
}

fn read_config(file: &Path) -> Result<Arc<SourceText>, Failure> {
    read_text(file, MAX_WRITTEN_BYTES).map_err(|reason| {
        let failure = Failure::new(format!("{} can't be read: {reason}", file.display()));
        match reason {
            Unreadable::NotText { .. } => failure.code(SS101).help("it must be YAML in UTF-8"),
            Unreadable::TooLarge { .. } => failure.code(SS108).help("a configuration has at most 1 MiB"),
            Unreadable::NoFile => failure.exit(Exit::Usage).help(files::PIPES),
            Unreadable::System(_) => {
                failure.exit(Exit::Usage).help(format!("name an {FILE_NAME}, or a folder that holds one"))
            }
        }
    })
}

/// A path of the configuration, which is relative to its folder.
fn resolve(folder: &Path, path: &str) -> PathBuf {
    tidy(&folder.join(path))
}

/// A path without `.` parts, as people write it.
pub(crate) fn tidy(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// The first address that a host and a port stand for.
fn listen_address(key: &str, listen: &str) -> Result<SocketAddr, Failure> {
    let found = listen.to_socket_addrs().map_err(|error| error.to_string());
    let first = found.and_then(|mut found| found.next().ok_or_else(|| "no such host".to_owned()));
    first.map_err(|reason| Failure::new(format!("`{key}` {listen} is no address: {reason}")))
}

/// What codegen made beside the plan, for servers.
pub(crate) fn artifacts(compiled: &Compiled) -> Artifacts<'_> {
    Artifacts { templates: &compiled.index_template, avro: &compiled.avro }
}
