import { useHasRoute, useAction, useResource } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import type { Right } from '../../shared/api/types.ts';
import { list, time } from '../../shared/format.ts';
import { Loaded } from '../../shared/ui/Loaded.tsx';
import { Empty, Failure } from '../../shared/ui/Notice.tsx';
import { Page } from '../../shared/ui/Page.tsx';
import { Table } from '../../shared/ui/Table.tsx';

type Peer = {
  ae_title: string;
  host?: string | null;
  port?: number | null;
  tls?: boolean;
  rights?: Right[];
  last_seen?: number | null;
  last_address?: string | null;
};

/** AE titles that this archive knows. */
export function PeersPage() {
  const hasRoute = useHasRoute();
  const isThere = hasRoute('GET', '/api/peers');
  const peers = useResource<{ peers: Peer[] }>('api/peers', isThere);
  const canEcho = hasRoute('POST', '/api/peers/{ae}/echo');
  return (
    <Page title="Peers" lead="Modalities, archives and workstations that speak DICOM with this one.">
      {isThere ? (
        <Loaded query={peers}>
          {({ peers: known }) =>
            known.length === 0 ? (
              <Empty>
                No peer is configured. Add a <code>[[peer]]</code> section to the configuration file; it takes effect
                without a restart.
              </Empty>
            ) : (
              <Table
                label="Peers"
                head={['AE title', 'Address', 'Rights', 'Last seen', '']}
                rows={known.map((peer) => ({
                  key: peer.ae_title,
                  cells: [
                    <code key="title">{peer.ae_title}</code>,
                    address(peer),
                    peer.rights === undefined ? '' : list(peer.rights) || 'none',
                    peer.last_seen == null ? 'never' : time(peer.last_seen),
                    canEcho ? <Echo key="echo" title={peer.ae_title} /> : '',
                  ],
                }))}
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

function address(peer: Peer): string {
  if (peer.host == null) {
    return 'calls us only';
  }
  return `${peer.host}:${peer.port ?? ''}${peer.tls === true ? ' (TLS)' : ''}`;
}

type EchoAnswer = { milliseconds?: number };

function Echo({ title }: { title: string }) {
  const echo = useAction<undefined, EchoAnswer>(
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
      {echo.isSuccess && (
        <span className="good" role="status">
          {' '}
          answers{echo.data.milliseconds === undefined ? '' : ` in ${echo.data.milliseconds} ms`}
        </span>
      )}
      <Failure error={echo.error} />
    </>
  );
}
