// SPDX-License-Identifier: Apache-2.0
// Writes lines of 64 bytes, one write each, several under way. `idle` when all were answered.
`default_nettype none
module search_writer (
	input wire clk,
	input wire rst,
	input wire line_valid,
	output wire line_ready,
	input wire [63:0] line_addr,
	input wire [511:0] line,
	output reg aw_valid,
	input wire aw_ready,
	output reg [63:0] aw_addr,
	output reg w_valid,
	input wire w_ready,
	output reg [511:0] w_data,
	input wire b_valid,
	output wire b_ready,
	input wire [1:0] b_resp,
	output wire idle,
	output reg failed
);
	reg [7:0] open; // writes that were not answered
	wire take = line_valid && line_ready;

	assign line_ready = !aw_valid && !w_valid && open != 8'hff;
	assign b_ready = 1'b1;
	assign idle = open == 0;

	always @(posedge clk)
		if (rst) begin
			aw_valid <= 0;
			w_valid <= 0;
			open <= 0;
			failed <= 0;
		end else begin
			if (aw_ready)
				aw_valid <= 0;
			if (w_ready)
				w_valid <= 0;
			if (take) begin
				aw_valid <= 1;
				w_valid <= 1;
				aw_addr <= line_addr;
				w_data <= line;
			end
			open <= open + {7'd0, take} - {7'd0, b_valid};
			if (b_valid && b_resp[1])
				failed <= 1;
		end
	wire unused = &{1'b0, b_resp[0]};
endmodule
`default_nettype wire
