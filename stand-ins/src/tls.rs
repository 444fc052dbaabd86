//! The stand-ins over TLS, with a certificate generated for the run.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use hyper_util::rt::TokioIo;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

use crate::{Aws, server};

/// The stand-ins at two addresses: one for the services, one for the response bucket.
pub struct Tls {
    pub services: Endpoint,
    pub bucket: Endpoint,
    /// A PEM file with the root certificate of both endpoints.
    pub roots: PathBuf,
}

/// An address and the number of its connections.
pub struct Endpoint {
    pub url: String,
    connections: Arc<AtomicUsize>,
}

impl Tls {
    /// Serves `aws` over TLS on two free ports.
    pub async fn serve(aws: &Aws) -> Self {
        let generated =
            rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])
                .unwrap();
        let key = PrivateKeyDer::try_from(generated.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![generated.cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let roots = std::env::temp_dir().join(format!("stand-ins-{:016x}.pem", fastrand::u64(..)));
        std::fs::write(&roots, generated.cert.pem()).unwrap();
        Self {
            services: Endpoint::of(aws, &config).await,
            bucket: Endpoint::of(aws, &config).await,
            roots,
        }
    }

    /// The environment variables with which a function reaches the services.
    pub fn settings(&self) -> [(&'static str, &str); 2] {
        [("AWS_ENDPOINT_URL", &self.services.url), ("SSL_CERT_FILE", self.roots.to_str().unwrap())]
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.roots));
    }
}

impl Endpoint {
    async fn of(aws: &Aws, config: &Arc<ServerConfig>) -> Self {
        let acceptor = TlsAcceptor::from(config.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let connections = Arc::<AtomicUsize>::default();
        let count = connections.clone();
        let aws = aws.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let (acceptor, aws) = (acceptor.clone(), aws.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let respond = move |request| {
                        let aws = aws.clone();
                        async move { aws.respond(request).await }
                    };
                    server::connection(TokioIo::new(stream), respond).await;
                });
            }
        });
        Self { url, connections }
    }

    /// The number of connections accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}
