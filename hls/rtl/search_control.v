// SPDX-License-Identifier: Apache-2.0
// The registers of the core: an AXI4-Lite slave with the layout that Vitis HLS gives its kernels
// (UG1399, "S_AXILITE control register map"): start, done, idle at 0, interrupt at 4, 8 and 12,
// arguments from 0x10 on.
//
//   0x10 queries (64 bits)   0x1c tiles (64)   0x28 results (64)
//   0x34 dim   0x3c tiles    0x44 rows         0x4c k
//   0x54 + 8 q limit of query q
//   read only: 0xa0 what this is, 0xa4 queries | k << 8 | burst << 16 | log2 of the buffer << 24
//   0xc0 status of the last run, 0xc4 clocks (64 bits), 0xcc clocks that lines waited for room behind
//   the multipliers, 0xd0 clocks that the multipliers waited for lines, 0xe0 + 4 q rows that passed
`default_nettype none
module search_control #(
	parameter QUERIES = 4,
	parameter [31:0] SHAPE = 0
) (
	input wire clk,
	input wire rst,
	input wire s_awvalid,
	output wire s_awready,
	input wire [7:0] s_awaddr,
	input wire s_wvalid,
	output wire s_wready,
	input wire [31:0] s_wdata,
	output reg s_bvalid,
	input wire s_bready,
	input wire s_arvalid,
	output wire s_arready,
	input wire [7:0] s_araddr,
	output reg s_rvalid,
	input wire s_rready,
	output reg [31:0] s_rdata,
	output wire irq,

	output wire start, // for one clock
	input wire done,   // likewise
	input wire [31:0] status,
	input wire [63:0] clocks,
	input wire [31:0] stalled,
	input wire [31:0] starved,
	input wire [32 * QUERIES - 1:0] passed,
	output wire [63:0] queries_at,
	output wire [63:0] tiles_at,
	output wire [63:0] results_at,
	output wire [31:0] dim,
	output wire [31:0] tiles,
	output wire [31:0] rows,
	output wire [31:0] k,
	output wire [32 * QUERIES - 1:0] limits
);
	localparam [31:0] IDENTITY = 32'h46534331; // "FSC1"

	reg [31:0] arg [0:63]; // by offset / 4: what is not an argument is never read
	reg busy, finished, global_enable, done_enable, pending;
	wire write = s_awready;
	wire [255:0] passed_all = {{(8 - QUERIES){32'd0}}, passed};
	genvar i;

	assign s_awready = s_awvalid && s_wvalid && !s_bvalid;
	assign s_wready = s_awready;
	assign s_arready = s_arvalid && !s_rvalid;
	assign irq = global_enable && pending;
	assign start = write && s_awaddr == 8'h00 && s_wdata[0] && !busy;

	assign queries_at = {arg[5], arg[4]};
	assign tiles_at = {arg[8], arg[7]};
	assign results_at = {arg[11], arg[10]};
	assign dim = arg[13];
	assign tiles = arg[15];
	assign rows = arg[17];
	assign k = arg[19];
	generate
		for (i = 0; i < QUERIES; i = i + 1) begin : limit_
			assign limits[32 * i +: 32] = arg[21 + 2 * i];
		end
	endgenerate

	always @(posedge clk)
		if (write && s_awaddr >= 8'h10 && s_awaddr < 8'ha0 && !busy)
			arg[s_awaddr[7:2]] <= s_wdata;

	always @(posedge clk)
		if (rst) begin
			busy <= 0;
			finished <= 0;
			global_enable <= 0;
			done_enable <= 0;
			pending <= 0;
			s_bvalid <= 0;
			s_rvalid <= 0;
		end else begin
			s_bvalid <= write || (s_bvalid && !s_bready);
			s_rvalid <= s_arready || (s_rvalid && !s_rready);
			if (write)
				case (s_awaddr)
				8'h04: global_enable <= s_wdata[0];
				8'h08: done_enable <= s_wdata[0];
				8'h0c: pending <= pending ^ s_wdata[0];
				default: ;
				endcase
			if (s_arready && s_araddr == 8'h00)
				finished <= 0;
			if (start)
				busy <= 1;
			if (done) begin
				busy <= 0;
				finished <= 1;
				if (done_enable)
					pending <= 1;
			end
		end

	always @(posedge clk)
		if (s_arready)
			casez (s_araddr)
			8'h00: s_rdata <= {28'd0, 1'b0, !busy, finished, busy};
			8'h04: s_rdata <= {31'd0, global_enable};
			8'h08: s_rdata <= {31'd0, done_enable};
			8'h0c: s_rdata <= {31'd0, pending};
			8'ha0: s_rdata <= IDENTITY;
			8'ha4: s_rdata <= SHAPE;
			8'hc0: s_rdata <= status;
			8'hc4: s_rdata <= clocks[31:0];
			8'hc8: s_rdata <= clocks[63:32];
			8'hcc: s_rdata <= stalled;
			8'hd0: s_rdata <= starved;
			8'b111?????: s_rdata <= passed_all[32 * s_araddr[4:2] +: 32];
			default: s_rdata <= s_araddr < 8'ha0 ? arg[s_araddr[7:2]] : 32'd0;
			endcase
endmodule
`default_nettype wire
