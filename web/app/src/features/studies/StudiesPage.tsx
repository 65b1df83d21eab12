import { useEffect, useRef } from 'react';
import { useResource } from '../../shared/api/hooks.ts';
import * as format from '../../shared/format.ts';
import type { Route } from '../../shared/router.ts';
import { useHolds } from '../../shared/session.tsx';
import { size } from './format.js';
import { StudyTools } from './StudyTools.tsx';
import type { Statistics, Status } from './server.js';
import { showStudyList } from './study-list.js';
import { showStudy } from './study-view.js';

const REFRESH_MS = 10_000;

/** The list of studies, or one of them. */
export function StudiesPage({ route }: { route: Route }) {
  const status = useResource<Status>('api/status');
  const statistics = useStatistics();
  const isList = route.parts[0] !== 'study';
  useEffect(() => {
    document.title = isList ? 'Studies – Gantry' : 'Study – Gantry';
  }, [isList]);
  return (
    <>
      {isList && <Facts status={status.data} statistics={statistics} />}
      {!isList && <StudyTools study={route.parts[1] ?? ''} />}
      <Island
        route={route}
        status={status.data}
        isKnown={!status.isPending}
        studies={isList ? statistics?.studies : undefined}
      />
    </>
  );
}

function useStatistics(): Statistics | undefined {
  const query = useResource<Statistics>('api/statistics');
  const { refetch } = query;
  useEffect(() => {
    const timer = window.setInterval(() => {
      if (!document.hidden) {
        void refetch();
      }
    }, REFRESH_MS);
    return () => window.clearInterval(timer);
  }, [refetch]);
  return query.data;
}

/** Where to send to, what is there, and how to add to it. */
function Facts({ status, statistics }: { status: Status | undefined; statistics: Statistics | undefined }) {
  const holds = useHolds();
  const choose = (id: string) => document.getElementById(id)?.click();
  return (
    <div className="facts-bar">
      {status !== undefined && (
        <p className="endpoint" id="endpoint" title={`Gantry ${status.version}`}>
          DICOM{' '}
          <code>
            {status.dicom === null
              ? status.ae_title
              : `${status.ae_title} at ${status.dicom.address || location.hostname}:${status.dicom.port}`}
          </code>
        </p>
      )}
      {statistics !== undefined && (
        <dl className="counts" id="counts">
          <Fact name="Patients" value={format.number(statistics.patients)} />
          <Fact name="Studies" value={format.number(statistics.studies)} />
          <Fact name="Instances" value={format.number(statistics.instances)} />
          <Fact name="Stored" value={size(statistics.bytes)} />
        </dl>
      )}
      {holds('store') && (
        <div className="actions">
          <button type="button" className="quiet" onClick={() => choose('upload-files')}>
            Upload files
          </button>
          <button type="button" className="quiet" onClick={() => choose('upload-folder')}>
            Upload a folder
          </button>
        </div>
      )}
    </div>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

/** Lists and images are drawn without React: a picture changes with every step of the wheel. */
function Island({
  route,
  status,
  isKnown,
  studies,
}: {
  route: Route;
  status: Status | undefined;
  isKnown: boolean;
  /** How many there are; when more come, the list is made again. */
  studies: number | undefined;
}) {
  const place = useRef<HTMLDivElement>(null);
  const drawn = useRef<number>(undefined);
  const { text } = route;
  useEffect(() => {
    if (place.current !== null && isKnown) {
      draw(place.current, status);
    }
  }, [text, status, isKnown]);
  useEffect(() => {
    const before = drawn.current;
    drawn.current = studies;
    if (place.current !== null && before !== undefined && studies !== undefined && studies !== before) {
      draw(place.current, status);
    }
  }, [studies, status]);
  return <div className="island" ref={place} />;
}

/** Draws what the address asks for: a search changes it without a step in the history. */
function draw(main: HTMLDivElement, status: Status | undefined): void {
  const [path = '', query = ''] = location.hash.replace(/^#/, '').split('?');
  const [, kind, study, , series] = path.split('/');
  if (kind === 'study' && study !== undefined) {
    void showStudy(main, study, series).then(focusHeading, (error: unknown) => {
      const why = error instanceof Error ? error.message : '';
      main.textContent = `The study cannot be shown. ${why}`;
    });
  } else {
    showStudyList(main, new URLSearchParams(query), status);
  }
}

function focusHeading(): void {
  const heading = document.querySelector('main h1');
  if (heading instanceof HTMLElement && document.activeElement === document.body) {
    heading.focus({ preventScroll: true });
  }
}
