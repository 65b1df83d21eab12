import { useAction, useHasRoute, useResource } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import type { Right, Scope } from '../../shared/api/types.ts';
import { list, time } from '../../shared/format.ts';
import { scopeInWords } from '../../shared/rights.ts';
import { Loaded } from '../../shared/ui/Loaded.tsx';
import { Empty, Failure } from '../../shared/ui/Notice.tsx';
import { Page } from '../../shared/ui/Page.tsx';
import { Table } from '../../shared/ui/Table.tsx';

type Peer = {
  ae_title: string;
  /** What the configuration says of it; nothing of a stranger. */
  known: {
    host: string;
    port: number;
    tls: boolean;
    is_bound_to_certificate: boolean;
    rights: Right[];
    scope: Scope;
    may_receive: boolean;
  } | null;
  calls: { address: string; first_at: number; last_at: number; minutes: number }[];
};

/** AE titles that this archive knows, and others that have called. */
export function PeersPage() {
  const hasRoute = useHasRoute();
  const isThere = hasRoute('GET', '/api/peers');
  const peers = useResource<{ peers: Peer[] }>('api/peers', isThere);
  return (
    <Page title="Peers" lead="Modalities, archives and workstations that speak DICOM with this one.">
      {isThere ? (
        <Loaded query={peers}>
          {({ peers: all }) =>
            all.length === 0 ? (
              <Empty>
                No peer is configured, and none has called. Add a <code>[[peer]]</code> section to the configuration
                file; it takes effect without a restart.
              </Empty>
            ) : (
              <Table
                label="Peers"
                head={['AE title', 'Where', 'May', 'Last seen', '']}
                rows={all.map(peerRow)}
              />
            )
          }
        </Loaded>
      ) : (
        <Empty>
          Peers are kept in the configuration file, as <code>[[peer]]</code> sections. <code>gantry echo</code> says
          whether one answers.
        </Empty>
      )}
    </Page>
  );
}

function peerRow(peer: Peer) {
  const { known, calls } = peer;
  return {
    key: peer.ae_title,
    cells: [
      <code key="title">{peer.ae_title}</code>,
      known === null ? 'not configured' : <Where key="where" known={known} />,
      known === null ? '' : <May key="may" known={known} />,
      calls.length === 0
        ? 'never'
        : calls.slice(0, 3).map((call) => (
            <span className="line" key={call.address}>
              {time(call.last_at)} from {call.address}
            </span>
          )),
      known === null ? '' : <Echo key="echo" title={peer.ae_title} />,
    ],
  };
}

function Where({ known }: { known: NonNullable<Peer['known']> }) {
  return (
    <>
      {known.host}:{known.port}{' '}
      {known.tls && <span className="chip">TLS</span>}
      {known.is_bound_to_certificate && <span className="chip">certificate</span>}
    </>
  );
}

function May({ known }: { known: NonNullable<Peer['known']> }) {
  return (
    <>
      {list(known.rights) || 'nothing'}
      <span className="weak line">
        {scopeInWords(known.scope)}
        {known.may_receive && '; C-MOVE may send to it'}
      </span>
    </>
  );
}

type Echoed = { answers: boolean; milliseconds: number | null; error: string | null };

function Echo({ title }: { title: string }) {
  const echo = useAction<undefined, Echoed>(
    () => send('POST', `api/peers/${encodeURIComponent(title)}/echo`),
    ['api/peers'],
  );
  return (
    <>
      <button
        type="button"
        className="quiet small"
        aria-label={`Echo: ${title}`}
        disabled={echo.isPending}
        onClick={() => echo.mutate(undefined)}
      >
        {echo.isPending ? 'Calling…' : 'Echo'}
      </button>
      {echo.data !== undefined && <Outcome echoed={echo.data} />}
      <Failure error={echo.error} />
    </>
  );
}

function Outcome({ echoed }: { echoed: Echoed }) {
  if (echoed.answers) {
    return (
      <span className="good line" role="status">
        answers in {Math.max(1, Math.round(echoed.milliseconds ?? 0))} ms
      </span>
    );
  }
  return (
    <span className="bad line" role="status">
      {echoed.error ?? 'does not answer'}
    </span>
  );
}
