import type { InferenceSession, Tensor } from "onnxruntime-node";
import { invariant, messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { Provider } from "./config.ts";

export interface SessionOptions {
  /** The path of an ONNX file, or its bytes. */
  readonly model: string | Uint8Array;
  readonly provider: Provider;
  readonly threads: number;
  /**
   * Whether the memory of a run is kept for the next one (ONNX Runtime's arena, which never gives
   * any back). For a net whose input has one size, all the time: a frame then costs half, for it
   * need not be mapped anew. A net that sees one face now and eight later does better without.
   */
  readonly keepMemory: boolean;
}

/** A net that takes one uint8 NHWC picture (or a batch of them) and gives named float32 outputs. */
export interface Session {
  /**
   * The outputs are overwritten by the next run with the same dimensions: read them before.
   * The pixels must not change until the promise settles.
   */
  run(pixels: Uint8Array, dims: readonly number[]): Promise<Outputs>;
  close(): Promise<void>;
}

export type Outputs = Readonly<Record<string, Output>>;

export interface Output {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

/** The name of the picture input in every net of ours. */
const IMAGE_INPUT = "image";

/** A camera has one frame size and a batch rarely more than eight faces: enough for both. */
const KEPT_OUTPUTS_MAX = 16;

/** Loads a net. The provider asked for is the one used, for every node, or this fails. */
export async function openSession(options: SessionOptions): Promise<Session> {
  const runtime = await loadRuntime();
  let session: InferenceSession;
  try {
    session = await create(runtime, options);
  } catch (error) {
    throw openError(options, error);
  }
  const kept = new Map<string, Record<string, Tensor>>();
  return {
    async run(pixels, dims) {
      const input = new runtime.Tensor("uint8", pixels, dims);
      const key = dims.join();
      const into = kept.get(key);
      const outputs = into
        ? await session.run({ [IMAGE_INPUT]: input }, into)
        : await session.run({ [IMAGE_INPUT]: input });
      if (!into) {
        if (kept.size >= KEPT_OUTPUTS_MAX) kept.clear();
        kept.set(key, { ...outputs });
      }
      return Object.fromEntries(
        Object.entries(outputs).map(([name, tensor]) => [name, floatOutput(tensor)]),
      );
    },
    close: () => session.release(),
  };
}

/**
 * From 1.29 on ONNX Runtime reports to its maker. The pinned release cannot, and the variable that
 * forbids it is set all the same, before the library is first loaded, for whoever unpins it.
 */
export async function loadRuntime(): Promise<typeof import("onnxruntime-node")> {
  process.env["ORT_DISABLE_TELEMETRY"] = "1";
  return await import("onnxruntime-node");
}

async function create(
  { InferenceSession }: typeof import("onnxruntime-node"),
  options: SessionOptions,
): Promise<InferenceSession> {
  const { model } = options;
  return typeof model === "string"
    ? await InferenceSession.create(model, sessionOptions(options))
    : await InferenceSession.create(model, sessionOptions(options));
}

function sessionOptions(options: SessionOptions): InferenceSession.SessionOptions {
  const { provider, threads, keepMemory } = options;
  invariant(Number.isInteger(threads) && threads > 0, "a session has at least one thread");
  return {
    // TensorRT leaves what it cannot build to CUDA, still on the same device.
    executionProviders: provider === "tensorrt" ? ["tensorrt", "cuda"] : [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    enableCpuMemArena: keepMemory,
    enableMemPattern: false,
    graphOptimizationLevel: "all",
    // Fatal only: what goes wrong is thrown, and said once.
    logSeverityLevel: 4,
    extra: {
      session: {
        // Threads that spin while they wait fight the threads of the other nets of the pack: on
        // two cores an SSD pass took 68 ms instead of 24.
        intra_op: { allow_spinning: "0" },
        // Without this, nodes that a device cannot run fall back to the CPU silently.
        ...(provider === "cpu" ? {} : { disable_cpu_ep_fallback: "1" }),
      },
    },
  };
}

function floatOutput(tensor: Tensor): Output {
  invariant(tensor.data instanceof Float32Array, "our nets give float32");
  return { data: tensor.data, dims: tensor.dims };
}

function openError({ provider, model }: SessionOptions, cause: unknown): PorchlightError {
  const file = typeof model === "string" ? model : "a net of this program";
  if (provider === "cpu") {
    return new PorchlightError("model.load", `${file} does not load: ${messageOf(cause)}`, {
      hint: "run: porchlight models verify",
      cause,
    });
  }
  return new PorchlightError(
    "model.provider.missing",
    `the nets cannot run on ${provider} here: ${messageOf(cause)}`,
    { hint: "install the provider's libraries, or set models.provider to cpu", cause },
  );
}
